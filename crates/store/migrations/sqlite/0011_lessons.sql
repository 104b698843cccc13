-- What the layer above a ranker learns from events, by the ranker's version: lessons in the order in which everybody takes
-- them in, and what they came to. A lesson that state holds is deleted.

CREATE TABLE learned (
    model_version INTEGER NOT NULL PRIMARY KEY CHECK (model_version >= 1),
    head INTEGER NOT NULL CHECK (head >= 0),
    through INTEGER NOT NULL CHECK (through BETWEEN 0 AND head),
    state BLOB
) STRICT;

CREATE TABLE lessons (
    model_version INTEGER NOT NULL REFERENCES learned (model_version) ON DELETE CASCADE,
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    lesson BLOB NOT NULL,
    PRIMARY KEY (model_version, sequence)
) STRICT, WITHOUT ROWID;
