-- What was written of users besides what they did: attributes, in the words of a request's context (genres is a JSON list).
-- sequence is the place of the last write to the row or to a vector of the user, so that every process that holds the user
-- reads them anew. Whoever has only vectors has a row without attributes. All of it goes with the user.

CREATE TABLE written_users (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    age_range TEXT CHECK (age_range IN ('under_18', '18-24', '25-34', '35-44', '45-54', '55-64', '65_and_over')),
    region TEXT CHECK (octet_length(region) = 2),
    genres TEXT NOT NULL DEFAULT '[]',
    sequence BIGINT NOT NULL UNIQUE CHECK (sequence >= 1)
);

INSERT INTO log_heads (log_name, head) VALUES ('written_users', 0);
