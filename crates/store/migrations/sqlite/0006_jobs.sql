-- Training jobs, held by leases, and what was measured while they ran.

CREATE TABLE training_jobs (
    submission INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE CHECK (octet_length(job_id) BETWEEN 1 AND 255),
    model_name TEXT NOT NULL CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'initializing', 'running', 'completed', 'failed', 'cancelled')),
    options TEXT NOT NULL CHECK (json_type(options) = 'object'),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    worker TEXT,
    lease_until INTEGER,
    error TEXT,
    outcome TEXT CHECK (json_type(outcome) = 'object'),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    CONSTRAINT held_while_worked_on CHECK (
        (state IN ('initializing', 'running')) = (worker IS NOT NULL)
        AND (worker IS NULL) = (lease_until IS NULL)
    ),
    CONSTRAINT finished_when_final CHECK (
        (state IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT outcome_when_completed CHECK ((state = 'completed') = (outcome IS NOT NULL)),
    CONSTRAINT error_when_failed CHECK ((state = 'failed') = (error IS NOT NULL))
) STRICT;

CREATE TABLE training_metrics (
    job_id TEXT NOT NULL REFERENCES training_jobs (job_id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    step INTEGER NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    value REAL NOT NULL CHECK (abs(value) <= 1.7976931348623157e308),
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, step, name)
) STRICT, WITHOUT ROWID;
