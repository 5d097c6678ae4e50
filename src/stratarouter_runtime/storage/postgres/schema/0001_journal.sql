-- Hands out blocks of a thousand numbers, from which a process names executions and commits itself.
CREATE SEQUENCE strata.numbers INCREMENT BY 1000;

-- An execution as it is listed. `execution` is its short name inside this database; one process
-- gives them in the order of arrival, so it also decides between executions created in one
-- microsecond. How many records there are, and when the last was written, is asked of `records`:
-- a step then costs one row, and not also a new version of this one.
CREATE TABLE strata.executions (
    execution bigint PRIMARY KEY,
    id        text COLLATE "C" NOT NULL UNIQUE,
    tenant    text COLLATE "C" NOT NULL,
    flow      text COLLATE "C" NOT NULL,
    plan      text COLLATE "C" NOT NULL,
    status    text COLLATE "C" NOT NULL,
    created   bigint NOT NULL,
    updated   bigint NOT NULL,
    version   integer NOT NULL,
    output    text,
    failure   text,
    usage     text
) WITH (fillfactor = 70);

CREATE INDEX executions_by_age ON strata.executions (created, execution);

CREATE INDEX executions_of_tenant ON strata.executions (tenant, created, execution);

CREATE INDEX executions_unfinished ON strata.executions (created, execution)
    WHERE status IN ('queued', 'running', 'waiting', 'paused');

-- A fact with its number, time and link of the hash chain; the key is what makes a second driver of
-- an execution fail. `batch` names the commit that brought it: by it a writer that lost its
-- connection in the middle of a commit finds out whether that commit came true.
CREATE TABLE strata.records (
    execution bigint NOT NULL,
    at        bigint NOT NULL,
    batch     bigint NOT NULL,
    seq       integer NOT NULL,
    body      bytea NOT NULL,
    link      bytea NOT NULL,
    PRIMARY KEY (execution, seq)
);

-- Plans are named by their content, so every tenant that has the digest has the plan.
CREATE TABLE strata.plans (
    plan     text COLLATE "C" PRIMARY KEY,
    document bytea NOT NULL
);

CREATE TABLE strata.deployments (
    tenant  text COLLATE "C" NOT NULL,
    flow    text COLLATE "C" NOT NULL,
    plan    text COLLATE "C" NOT NULL,
    source  text NOT NULL,
    created bigint NOT NULL,
    PRIMARY KEY (tenant, flow)
);
