-- An execution as it is listed. `execution` is its short name inside this file; it grows in the
-- order of arrival, so it also decides between executions created in one microsecond.
-- How many records there are, and when the last was written, is asked of `records`: a step then
-- costs one row, and not also a change of this one.
CREATE TABLE executions (
    execution INTEGER PRIMARY KEY,
    id        TEXT    NOT NULL UNIQUE,
    tenant    TEXT    NOT NULL,
    flow      TEXT    NOT NULL,
    plan      TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    output    TEXT,
    failure   TEXT,
    usage     TEXT
) STRICT;

CREATE INDEX executions_by_age ON executions (created);

CREATE INDEX executions_of_tenant ON executions (tenant, created);

CREATE INDEX executions_unfinished ON executions (created)
    WHERE status IN ('queued', 'running', 'waiting', 'paused');

-- A fact with its number, time and link of the hash chain. Rows lie in the order they were written,
-- with the order of each journal in an index: measured against one tree ordered by journal, a commit
-- of many executions' rows touches a few pages at the end instead of one page an execution.
CREATE TABLE records (
    place     INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    link      BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX records_of_execution ON records (execution, seq);

-- Plans are named by their content, so every tenant that has the digest has the plan.
CREATE TABLE plans (
    plan     TEXT NOT NULL PRIMARY KEY,
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deployments (
    tenant  TEXT    NOT NULL,
    flow    TEXT    NOT NULL,
    plan    TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (tenant, flow)
) STRICT, WITHOUT ROWID;
