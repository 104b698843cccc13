-- What the layer above a ranker learns from events, by the ranker's version: lessons in the order in which everybody takes
-- them in, and what they came to. A lesson that state holds is deleted.

CREATE TABLE learned (
    model_version BIGINT NOT NULL PRIMARY KEY CHECK (model_version >= 1),
    head BIGINT NOT NULL CHECK (head >= 0),
    through BIGINT NOT NULL CHECK (through BETWEEN 0 AND head),
    state BYTEA
);

CREATE TABLE lessons (
    model_version BIGINT NOT NULL REFERENCES learned (model_version) ON DELETE CASCADE,
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    lesson BYTEA NOT NULL,
    PRIMARY KEY (model_version, sequence)
);

-- Floats do not compress; trying costs time.
ALTER TABLE learned ALTER COLUMN state SET STORAGE EXTERNAL;
ALTER TABLE lessons ALTER COLUMN lesson SET STORAGE EXTERNAL;
