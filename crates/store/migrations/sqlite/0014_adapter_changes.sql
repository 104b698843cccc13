-- How users' adapters are handled from outside.

-- What became of users' adapters other than by learning, so that every process that holds one reads it anew. Old rows are
-- dropped: who has missed some forgets all it holds. A row stays when its user is erased, without the id.
CREATE TABLE lora_adapter_changes (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
    user_id TEXT CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    change TEXT NOT NULL CHECK (change IN ('adapter', 'opted_out', 'opted_in')),
    changed_at INTEGER NOT NULL
) STRICT;

INSERT INTO log_heads (log_name, head) VALUES ('lora_adapter_changes', 0);

-- Users who want no adapter, known or not: of them none is learned, kept or served.
CREATE TABLE lora_opt_outs (
    user_id TEXT NOT NULL PRIMARY KEY CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    opted_out_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE lora_adapters ADD COLUMN origin TEXT NOT NULL DEFAULT 'learned'
    CHECK (origin IN ('learned', 'trained', 'imported'));
