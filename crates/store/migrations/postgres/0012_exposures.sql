-- What was shown: one row a list, for as long as the configuration says. items is a JSON list of [content_id, score] in the
-- order of the ranks. user_id has no foreign key: lists are also shown to users who have done nothing yet.

CREATE TABLE exposures (
    recommendation_id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(recommendation_id) BETWEEN 1 AND 255),
    user_id TEXT COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    shown_at BIGINT NOT NULL,
    model_version BIGINT,
    ranker_version BIGINT,
    items TEXT NOT NULL
);

CREATE INDEX exposures_by_user ON exposures (user_id);
CREATE INDEX exposures_by_time ON exposures (shown_at);

-- A list that waits to be written while its user is removed is not written, also where nothing else is known of the user.
-- As in user_removals a user is remembered by the SHA-256 of the id; here until all lists of that time have expired.
CREATE TABLE exposure_removals (
    user_digest BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(user_digest) = 32),
    removed_at BIGINT NOT NULL
);

-- An event may quote the list it was done with. No foreign key: the list may have expired.
ALTER TABLE viewing_events ADD COLUMN recommendation_id TEXT COLLATE "C"
    CHECK (octet_length(recommendation_id) BETWEEN 1 AND 255);
