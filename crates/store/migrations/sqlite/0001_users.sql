-- Users, and what removed ones leave behind.
-- Times in every table are microseconds since 1970-01-01T00:00:00Z, in INTEGER columns.

CREATE TABLE users (
    user_id TEXT NOT NULL PRIMARY KEY CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A removed user is remembered by the SHA-256 of the id alone.
CREATE TABLE user_removals (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
    user_digest BLOB NOT NULL CHECK (length(user_digest) = 32),
    removed_at INTEGER NOT NULL
) STRICT;

-- The last position given out in each log that is read by position. A position is never given out twice,
-- also if its row is gone.
CREATE TABLE log_heads (
    log_name TEXT NOT NULL PRIMARY KEY,
    head INTEGER NOT NULL CHECK (head >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO log_heads (log_name, head) VALUES ('user_removals', 0);
