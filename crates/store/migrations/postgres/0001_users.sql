-- Users, and what removed ones leave behind.
-- Times in every table are microseconds since 1970-01-01T00:00:00Z, in BIGINT columns.
-- Ids are compared byte by byte: collation "C", which no operating system update can change.

CREATE TABLE users (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    created_at BIGINT NOT NULL
);

-- A removed user is remembered by the SHA-256 of the id alone.
CREATE TABLE user_removals (
    sequence BIGINT NOT NULL PRIMARY KEY CHECK (sequence >= 1),
    user_digest BYTEA NOT NULL CHECK (octet_length(user_digest) = 32),
    removed_at BIGINT NOT NULL
);

-- The last position given out in each log that is read by position. Whoever appends holds the row's lock until
-- commit, so positions become visible in order and without gaps (a sequence would give neither). A position is
-- never given out twice, also if its row is gone.
CREATE TABLE log_heads (
    log_name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    head BIGINT NOT NULL CHECK (head >= 0)
) WITH (fillfactor = 50);

INSERT INTO log_heads (log_name, head) VALUES ('user_removals', 0);
