-- Users' adapters, in immutable versions. Numbers are counted per user and name in lora_adapter_names and never reused, also
-- when versions are deleted; the version being served is named by a pointer. All of it goes with the user.

CREATE TABLE lora_adapter_names (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    adapter_name TEXT COLLATE "C" NOT NULL CHECK (octet_length(adapter_name) BETWEEN 1 AND 100),
    last_version BIGINT NOT NULL CHECK (last_version >= 1),
    PRIMARY KEY (user_id, adapter_name)
);

CREATE TABLE lora_adapters (
    user_id TEXT COLLATE "C" NOT NULL,
    adapter_name TEXT COLLATE "C" NOT NULL DEFAULT 'default',
    version BIGINT NOT NULL CHECK (version >= 1),
    parent_version BIGINT CHECK (parent_version BETWEEN 1 AND version - 1),
    base_version BIGINT NOT NULL CHECK (base_version >= 1),
    weights BYTEA NOT NULL CHECK (octet_length(weights) = size_bytes),
    size_bytes BIGINT NOT NULL CHECK (size_bytes BETWEEN 1 AND 4194304),
    training_iterations BIGINT NOT NULL DEFAULT 0 CHECK (training_iterations >= 0),
    is_pinned BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, adapter_name, version),
    FOREIGN KEY (user_id, adapter_name) REFERENCES lora_adapter_names (user_id, adapter_name) ON DELETE CASCADE
);

-- Floats do not compress; trying costs time.
ALTER TABLE lora_adapters ALTER COLUMN weights SET STORAGE EXTERNAL;

CREATE INDEX lora_adapters_by_time ON lora_adapters (user_id, created_at, adapter_name, version);

CREATE TABLE lora_adapter_pointers (
    user_id TEXT COLLATE "C" NOT NULL,
    adapter_name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, adapter_name),
    FOREIGN KEY (user_id, adapter_name) REFERENCES lora_adapter_names (user_id, adapter_name) ON DELETE CASCADE,
    FOREIGN KEY (user_id, adapter_name, version) REFERENCES lora_adapters (user_id, adapter_name, version)
);
