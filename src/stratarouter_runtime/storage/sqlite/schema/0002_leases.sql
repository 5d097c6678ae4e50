-- Who drives an execution: the number of a lease, 0 where nobody does.
ALTER TABLE executions ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;

DROP INDEX executions_unfinished;

CREATE INDEX executions_unfinished ON executions (owner, created)
    WHERE status IN ('queued', 'running', 'waiting', 'paused');

-- The file has one process at a time, so only the last lease holds; its number never comes again.
CREATE TABLE processes (
    process INTEGER PRIMARY KEY AUTOINCREMENT
) STRICT;

-- Requests to whoever drives an execution: `seen` by which lease, and what came of them.
CREATE TABLE mail (
    letter    INTEGER PRIMARY KEY AUTOINCREMENT,
    execution TEXT    NOT NULL,
    body      BLOB    NOT NULL,
    seen      INTEGER NOT NULL DEFAULT 0,
    outcome   BLOB
) STRICT;
