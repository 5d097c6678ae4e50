-- Processes that take part, by lease. A commit holds its row while it is made, so that deleting the
-- row waits for commits under way, and lets none begin. `sessions` are the advisory locks of the
-- process: where none is held any more and it does not report either, it has ended.
CREATE TABLE strata.processes (
    process  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sessions bigint[] NOT NULL,
    kept     timestamptz NOT NULL,
    ends     timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Who drives an execution: a process, or 0 where nobody does.
ALTER TABLE strata.executions ADD COLUMN owner bigint NOT NULL DEFAULT 0;

DROP INDEX strata.executions_unfinished;

CREATE INDEX executions_unfinished ON strata.executions (owner, created, execution)
    WHERE status IN ('queued', 'running', 'waiting', 'paused');

-- Requests to whoever drives an execution: `seen` by which process, and what came of them.
CREATE TABLE strata.mail (
    letter    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution text COLLATE "C" NOT NULL,
    body      bytea NOT NULL,
    posted    timestamptz NOT NULL,
    seen      bigint NOT NULL DEFAULT 0,
    outcome   bytea
);
