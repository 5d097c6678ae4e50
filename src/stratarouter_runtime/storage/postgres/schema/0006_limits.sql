-- Whether an execution counts against the limits of its tenant. Those that do are few, and found by
-- an index that no other execution is in.
ALTER TABLE strata.executions ADD COLUMN limited boolean NOT NULL DEFAULT false;

CREATE INDEX executions_limited ON strata.executions (tenant)
    WHERE limited AND status IN ('queued', 'running', 'waiting', 'paused');

-- What a tenant has used: executions `started` on its last `day` of UTC, and requests by second. Who
-- counts anything for a tenant locks its row first, which puts all that is counted into one order.
CREATE TABLE strata.tenants (
    tenant   text COLLATE "C" PRIMARY KEY,
    day      bigint NOT NULL DEFAULT 0,
    started  bigint NOT NULL DEFAULT 0,
    requests bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
