-- Whether an execution counts against the limits of its tenant. Those that do are few, and found by
-- an index that no other execution is in.
ALTER TABLE executions ADD COLUMN limited INTEGER NOT NULL DEFAULT 0;

CREATE INDEX executions_limited ON executions (tenant)
    WHERE limited = 1 AND status IN ('queued', 'running', 'waiting', 'paused');

-- What a tenant has used: executions `started` on its last `day` of UTC, and requests by second.
CREATE TABLE tenants (
    tenant   TEXT    NOT NULL PRIMARY KEY,
    day      INTEGER NOT NULL DEFAULT 0,
    started  INTEGER NOT NULL DEFAULT 0,
    requests BLOB    NOT NULL DEFAULT x''
) STRICT, WITHOUT ROWID;
