-- Users' adapters, in immutable versions. Numbers are counted per user and name in lora_adapter_names and never reused, also
-- when versions are deleted; the version being served is named by a pointer. All of it goes with the user.

CREATE TABLE lora_adapter_names (
    user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    adapter_name TEXT NOT NULL CHECK (octet_length(adapter_name) BETWEEN 1 AND 100),
    last_version INTEGER NOT NULL CHECK (last_version >= 1),
    PRIMARY KEY (user_id, adapter_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE lora_adapters (
    user_id TEXT NOT NULL,
    adapter_name TEXT NOT NULL DEFAULT 'default',
    version INTEGER NOT NULL CHECK (version >= 1),
    parent_version INTEGER CHECK (parent_version BETWEEN 1 AND version - 1),
    base_version INTEGER NOT NULL CHECK (base_version >= 1),
    weights BLOB NOT NULL CHECK (length(weights) = size_bytes),
    size_bytes INTEGER NOT NULL CHECK (size_bytes BETWEEN 1 AND 4194304),
    training_iterations INTEGER NOT NULL DEFAULT 0 CHECK (training_iterations >= 0),
    is_pinned INTEGER NOT NULL DEFAULT 0 CHECK (is_pinned IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, adapter_name, version),
    FOREIGN KEY (user_id, adapter_name) REFERENCES lora_adapter_names (user_id, adapter_name) ON DELETE CASCADE
) STRICT;

CREATE INDEX lora_adapters_by_time ON lora_adapters (user_id, created_at, adapter_name, version);

CREATE TABLE lora_adapter_pointers (
    user_id TEXT NOT NULL,
    adapter_name TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, adapter_name),
    FOREIGN KEY (user_id, adapter_name) REFERENCES lora_adapter_names (user_id, adapter_name) ON DELETE CASCADE,
    FOREIGN KEY (user_id, adapter_name, version) REFERENCES lora_adapters (user_id, adapter_name, version)
) STRICT, WITHOUT ROWID;
