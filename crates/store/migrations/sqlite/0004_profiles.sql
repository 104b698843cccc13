-- Profiles: views of the log, one a user, for whoever reads the database with SQL.
-- preference_vector is 32-bit floats, little-endian.

CREATE TABLE profiles (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    preference_vector BLOB NOT NULL CHECK (length(preference_vector) % 4 = 0),
    model_version INTEGER CHECK (model_version >= 1),
    genre_affinities TEXT NOT NULL CHECK (json_type(genre_affinities) = 'object'),
    hourly_events TEXT NOT NULL CHECK (json_type(hourly_events) = 'array'),
    weekday_events TEXT NOT NULL CHECK (json_type(weekday_events) = 'array'),
    interaction_count INTEGER NOT NULL CHECK (interaction_count >= 0),
    seen_count INTEGER NOT NULL CHECK (seen_count >= 0),
    last_event_at INTEGER,
    through INTEGER NOT NULL CHECK (through >= 0),
    updated_at INTEGER NOT NULL
) STRICT;
