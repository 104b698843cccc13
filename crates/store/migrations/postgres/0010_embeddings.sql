-- Vectors, by the model that made them. Vectors of two models cannot be compared, so a new model's are made beside the
-- old one's. A vector is 32-bit floats, little-endian, all of a model equally wide.

CREATE TABLE embedding_models (
    model_name TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    width INTEGER NOT NULL CHECK (width BETWEEN 1 AND 4096),
    created_at BIGINT NOT NULL,
    completed_at BIGINT,
    UNIQUE (model_name, width)
);

CREATE TABLE embeddings (
    model_name TEXT COLLATE "C" NOT NULL,
    entity_type TEXT COLLATE "C" NOT NULL CHECK (entity_type IN ('content', 'user')),
    entity_id TEXT COLLATE "C" NOT NULL CHECK (octet_length(entity_id) BETWEEN 1 AND 255),
    width INTEGER NOT NULL,
    vector BYTEA NOT NULL CHECK (octet_length(vector) = 4 * width),
    source_digest BYTEA NOT NULL CHECK (octet_length(source_digest) = 32),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (model_name, entity_type, entity_id),
    FOREIGN KEY (model_name, width) REFERENCES embedding_models (model_name, width) ON DELETE CASCADE
);

-- Floats do not compress; trying costs time.
ALTER TABLE embeddings ALTER COLUMN vector SET STORAGE EXTERNAL;

CREATE INDEX embeddings_by_entity ON embeddings (entity_type, entity_id);
