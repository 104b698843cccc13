-- Vectors, by the model that made them. Vectors of two models cannot be compared, so a new model's are made beside the
-- old one's. A vector is 32-bit floats, little-endian, all of a model equally wide.

CREATE TABLE embedding_models (
    model_name TEXT NOT NULL PRIMARY KEY CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    width INTEGER NOT NULL CHECK (width BETWEEN 1 AND 4096),
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    UNIQUE (model_name, width)
) STRICT;

CREATE TABLE embeddings (
    model_name TEXT NOT NULL,
    entity_type TEXT NOT NULL CHECK (entity_type IN ('content', 'user')),
    entity_id TEXT NOT NULL CHECK (octet_length(entity_id) BETWEEN 1 AND 255),
    width INTEGER NOT NULL,
    vector BLOB NOT NULL CHECK (length(vector) = 4 * width),
    source_digest BLOB NOT NULL CHECK (length(source_digest) = 32),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (model_name, entity_type, entity_id),
    FOREIGN KEY (model_name, width) REFERENCES embedding_models (model_name, width) ON DELETE CASCADE
) STRICT;

CREATE INDEX embeddings_by_entity ON embeddings (entity_type, entity_id);
