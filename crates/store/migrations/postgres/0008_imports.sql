-- How far each import has come, written together with what it brought: whoever goes on after a crash starts there.

CREATE TABLE imports (
    import_id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(import_id) BETWEEN 1 AND 255),
    file_index BIGINT NOT NULL CHECK (file_index >= 0),
    file_row BIGINT NOT NULL CHECK (file_row >= 0),
    rows_read BIGINT NOT NULL CHECK (rows_read >= 0),
    events BIGINT NOT NULL CHECK (events >= 0),
    duplicates BIGINT NOT NULL CHECK (duplicates >= 0),
    content BIGINT NOT NULL CHECK (content >= 0),
    created BIGINT NOT NULL CHECK (created >= 0),
    rejected BIGINT NOT NULL CHECK (rejected >= 0),
    rejects_bytes BIGINT NOT NULL CHECK (rejects_bytes >= 0),
    finished BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL
);
