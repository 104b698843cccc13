-- Model versions. Numbers are counted per name in ml_model_names and never reused; the version being served is
-- named by a pointer, never guessed from dates. metadata is JSON, not JSONB: it is kept as it was given.

CREATE TABLE ml_model_names (
    model_name TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    last_version BIGINT NOT NULL CHECK (last_version >= 1)
);

CREATE TABLE ml_models (
    model_name TEXT COLLATE "C" NOT NULL REFERENCES ml_model_names (model_name),
    version BIGINT NOT NULL CHECK (version >= 1),
    blob_key TEXT NOT NULL CHECK (blob_key <> ''),
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    metadata JSON NOT NULL CHECK (json_typeof(metadata) = 'object'),
    job_id TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (model_name, version)
);

CREATE TABLE ml_model_pointers (
    model_name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    FOREIGN KEY (model_name, version) REFERENCES ml_models (model_name, version)
);
