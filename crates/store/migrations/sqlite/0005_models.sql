-- Model versions. Numbers are counted per name in ml_model_names and never reused; the version being served is
-- named by a pointer, never guessed from dates.

CREATE TABLE ml_model_names (
    model_name TEXT NOT NULL PRIMARY KEY CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    last_version INTEGER NOT NULL CHECK (last_version >= 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE ml_models (
    model_name TEXT NOT NULL REFERENCES ml_model_names (model_name),
    version INTEGER NOT NULL CHECK (version >= 1),
    blob_key TEXT NOT NULL CHECK (blob_key <> ''),
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    metadata TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
    job_id TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (model_name, version)
) STRICT;

CREATE TABLE ml_model_pointers (
    model_name TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    FOREIGN KEY (model_name, version) REFERENCES ml_models (model_name, version)
) STRICT, WITHOUT ROWID;
