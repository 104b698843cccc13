-- How far each import has come, written together with what it brought: whoever goes on after a crash starts there.

CREATE TABLE imports (
    import_id TEXT NOT NULL PRIMARY KEY CHECK (octet_length(import_id) BETWEEN 1 AND 255),
    file_index INTEGER NOT NULL CHECK (file_index >= 0),
    file_row INTEGER NOT NULL CHECK (file_row >= 0),
    rows_read INTEGER NOT NULL CHECK (rows_read >= 0),
    events INTEGER NOT NULL CHECK (events >= 0),
    duplicates INTEGER NOT NULL CHECK (duplicates >= 0),
    content INTEGER NOT NULL CHECK (content >= 0),
    created INTEGER NOT NULL CHECK (created >= 0),
    rejected INTEGER NOT NULL CHECK (rejected >= 0),
    rejects_bytes INTEGER NOT NULL CHECK (rejects_bytes >= 0),
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
