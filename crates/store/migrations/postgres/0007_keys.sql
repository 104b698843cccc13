-- API keys. The secret is kept as its SHA-256 only; the head of the log 'api_keys' counts what changed, so that
-- every process sees cheaply whether to read the keys again.

CREATE TABLE api_keys (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(key_id) BETWEEN 1 AND 100),
    name TEXT NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 100),
    scopes TEXT NOT NULL CHECK (scopes <> ''),
    digest BYTEA NOT NULL CHECK (octet_length(digest) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);

INSERT INTO log_heads (log_name, head) VALUES ('api_keys', 0);
