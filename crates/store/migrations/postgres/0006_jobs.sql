-- Training jobs, held by leases, and what was measured while they ran.
-- options and outcome are JSON, not JSONB: they are kept as they were given.

CREATE TABLE training_jobs (
    submission BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id TEXT COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(job_id) BETWEEN 1 AND 255),
    model_name TEXT COLLATE "C" NOT NULL CHECK (octet_length(model_name) BETWEEN 1 AND 255),
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'initializing', 'running', 'completed', 'failed', 'cancelled')),
    options JSON NOT NULL CHECK (json_typeof(options) = 'object'),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    worker TEXT,
    lease_until BIGINT,
    error TEXT,
    outcome JSON CHECK (json_typeof(outcome) = 'object'),
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    CONSTRAINT held_while_worked_on CHECK (
        (state IN ('initializing', 'running')) = (worker IS NOT NULL)
        AND (worker IS NULL) = (lease_until IS NULL)
    ),
    CONSTRAINT finished_when_final CHECK (
        (state IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT outcome_when_completed CHECK ((state = 'completed') = (outcome IS NOT NULL)),
    CONSTRAINT error_when_failed CHECK ((state = 'failed') = (error IS NOT NULL))
);

CREATE TABLE training_metrics (
    job_id TEXT COLLATE "C" NOT NULL REFERENCES training_jobs (job_id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL CHECK (attempt >= 0),
    step BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    value DOUBLE PRECISION NOT NULL CHECK (value > '-Infinity' AND value < 'Infinity'),
    timestamp BIGINT NOT NULL,
    PRIMARY KEY (job_id, attempt, step, name)
);
