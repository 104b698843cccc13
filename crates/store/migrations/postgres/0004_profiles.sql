-- Profiles: views of the log, one a user, for whoever reads the database with SQL.
-- preference_vector is 32-bit floats, little-endian.

CREATE TABLE profiles (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    preference_vector BYTEA NOT NULL CHECK (octet_length(preference_vector) % 4 = 0),
    model_version BIGINT CHECK (model_version >= 1),
    genre_affinities JSONB NOT NULL CHECK (jsonb_typeof(genre_affinities) = 'object'),
    hourly_events JSONB NOT NULL CHECK (jsonb_typeof(hourly_events) = 'array'),
    weekday_events JSONB NOT NULL CHECK (jsonb_typeof(weekday_events) = 'array'),
    interaction_count BIGINT NOT NULL CHECK (interaction_count >= 0),
    seen_count BIGINT NOT NULL CHECK (seen_count >= 0),
    last_event_at BIGINT,
    through BIGINT NOT NULL CHECK (through >= 0),
    updated_at BIGINT NOT NULL
);
