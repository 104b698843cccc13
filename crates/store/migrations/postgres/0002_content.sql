-- The catalogue. A deleted entry stays as a tombstone (id and revision) so that readers of the changes see it go.

CREATE TABLE content (
    content_id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(content_id) BETWEEN 1 AND 255),
    content_type TEXT CHECK (length(content_type) BETWEEN 1 AND 20),
    title TEXT,
    original_title TEXT,
    overview TEXT,
    year INTEGER CHECK (year BETWEEN 0 AND 65535),
    runtime_minutes BIGINT CHECK (runtime_minutes >= 0),
    popularity REAL CHECK (popularity BETWEEN 0 AND 1),
    genres JSONB,
    themes JSONB,
    moods JSONB,
    credits JSONB,
    available_from BIGINT,
    available_until BIGINT,
    hidden BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL DEFAULT FALSE,
    revision BIGINT NOT NULL UNIQUE CHECK (revision >= 1),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT living_or_tombstone CHECK (
        CASE WHEN deleted
        THEN num_nonnulls(content_type, title, original_title, overview, year, runtime_minutes, popularity,
                          genres, themes, moods, credits, available_from, available_until) = 0
        ELSE content_type IS NOT NULL AND title IS NOT NULL AND genres IS NOT NULL
             AND themes IS NOT NULL AND moods IS NOT NULL AND credits IS NOT NULL
        END
    )
);

INSERT INTO log_heads (log_name, head) VALUES ('content', 0);
