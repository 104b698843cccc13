-- API keys. The secret is kept as its SHA-256 only; the head of the log 'api_keys' counts what changed, so that
-- every process sees cheaply whether to read the keys again.

CREATE TABLE api_keys (
    key_id TEXT NOT NULL PRIMARY KEY CHECK (octet_length(key_id) BETWEEN 1 AND 100),
    name TEXT NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 100),
    scopes TEXT NOT NULL CHECK (scopes <> ''),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO log_heads (log_name, head) VALUES ('api_keys', 0);
