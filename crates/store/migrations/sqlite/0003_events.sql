-- The event log. Rows are only ever added, or deleted together with their user.
-- content_id has no foreign key: what was watched stays true when the title leaves the catalogue.
-- context is the JSON text as it was accepted.

CREATE TABLE viewing_events (
    cursor INTEGER NOT NULL PRIMARY KEY CHECK (cursor >= 1),
    event_id TEXT NOT NULL UNIQUE CHECK (octet_length(event_id) BETWEEN 1 AND 255),
    user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    content_id TEXT NOT NULL CHECK (octet_length(content_id) BETWEEN 1 AND 255),
    event_type TEXT NOT NULL CHECK (length(event_type) BETWEEN 1 AND 50),
    completion_rate REAL CHECK (completion_rate BETWEEN 0 AND 1),
    rating REAL CHECK (rating BETWEEN 1 AND 5),
    is_rewatch INTEGER NOT NULL CHECK (is_rewatch IN (0, 1)),
    dismissed INTEGER NOT NULL CHECK (dismissed IN (0, 1)),
    context TEXT,
    timestamp INTEGER NOT NULL
) STRICT;

CREATE INDEX viewing_events_by_user ON viewing_events (user_id, cursor);
CREATE INDEX viewing_events_by_timestamp ON viewing_events (timestamp, cursor);

INSERT INTO log_heads (log_name, head) VALUES ('viewing_events', 0);
