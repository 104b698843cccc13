-- The catalogue. A deleted entry stays as a tombstone (id and revision) so that readers of the changes see it go.

CREATE TABLE content (
    content_id TEXT NOT NULL PRIMARY KEY CHECK (octet_length(content_id) BETWEEN 1 AND 255),
    content_type TEXT CHECK (length(content_type) BETWEEN 1 AND 20),
    title TEXT,
    original_title TEXT,
    overview TEXT,
    year INTEGER CHECK (year BETWEEN 0 AND 65535),
    runtime_minutes INTEGER CHECK (runtime_minutes >= 0),
    popularity REAL CHECK (popularity BETWEEN 0 AND 1),
    genres TEXT CHECK (json_valid(genres)),
    themes TEXT CHECK (json_valid(themes)),
    moods TEXT CHECK (json_valid(moods)),
    credits TEXT CHECK (json_valid(credits)),
    available_from INTEGER,
    available_until INTEGER,
    hidden INTEGER NOT NULL CHECK (hidden IN (0, 1)),
    deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    revision INTEGER NOT NULL UNIQUE CHECK (revision >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT living_or_tombstone CHECK (
        CASE WHEN deleted
        THEN coalesce(content_type, title, original_title, overview, year, runtime_minutes, popularity,
                      genres, themes, moods, credits, available_from, available_until) IS NULL
        ELSE content_type IS NOT NULL AND title IS NOT NULL AND genres IS NOT NULL
             AND themes IS NOT NULL AND moods IS NOT NULL AND credits IS NOT NULL
        END
    )
) STRICT;

INSERT INTO log_heads (log_name, head) VALUES ('content', 0);
