-- name: schema
SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('strata')),
    to_regclass('strata.migrations') IS NOT NULL

-- name: version
SELECT coalesce(max(number), 0) FROM strata.migrations

-- name: found
CREATE SCHEMA IF NOT EXISTS strata;
CREATE TABLE IF NOT EXISTS strata.migrations (number integer PRIMARY KEY, name text NOT NULL)

-- name: migrated
INSERT INTO strata.migrations (number, name) VALUES ($1, $2)

-- name: probe
UPDATE strata.migrations SET name = name WHERE number = 1

-- name: exclude_others
SELECT pg_advisory_xact_lock($1)

-- name: durable
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')

-- name: own_lane
SELECT pg_try_advisory_lock($1)

-- name: end_lost
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1
    AND (classid::bigint << 32 | objid::bigint) = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: block
SELECT nextval('strata.numbers')

-- name: heads
SELECT e.id, e.execution,
    coalesce((SELECT seq + 1 FROM strata.records r WHERE r.execution = e.execution ORDER BY seq DESC LIMIT 1), 0)
FROM strata.executions e WHERE e.id = ANY($1::text[])

-- name: append
INSERT INTO strata.records (batch, execution, at, seq, body, link)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[])

-- name: commit
WITH made AS (
    INSERT INTO strata.executions
        (execution, id, tenant, flow, plan, status, created, updated, version, output, failure, usage)
    SELECT * FROM unnest(
        $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[],
        $14::bigint[], $15::integer[], $16::text[], $17::text[], $18::text[])
    ON CONFLICT (id) DO NOTHING
    RETURNING execution
), told AS (
    SELECT * FROM unnest($19::bigint[], $20::text[], $21::bigint[], $22::text[], $23::text[], $24::text[])
        AS told (execution, status, updated, output, failure, usage)
), restated AS (
    UPDATE strata.executions e
    SET status = told.status, updated = greatest(e.updated, told.updated),
        output = told.output, failure = told.failure, usage = told.usage
    FROM told WHERE e.execution = told.execution
), kept AS (
    INSERT INTO strata.records (batch, execution, at, seq, body, link)
    SELECT $1, r.execution, r.at, r.seq, r.body, r.link
    FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[])
        AS r (execution, at, seq, body, link)
    WHERE r.execution <> ALL($7::bigint[]) OR r.execution IN (SELECT execution FROM made)
)
SELECT execution FROM made

-- name: made
SELECT execution FROM strata.executions WHERE execution = ANY($1::bigint[])

-- name: kept
SELECT count(*) FROM strata.records WHERE execution = $1 AND seq = $2 AND batch = $3

-- name: read
SELECT seq, at, body, link FROM strata.records
WHERE execution = (SELECT execution FROM strata.executions WHERE id = $1) AND seq > $2
ORDER BY seq

-- name: listed
SELECT id, tenant, flow, plan, status, created, output, failure, usage,
    greatest(updated, coalesce(last.at, 0)), coalesce(last.seq + 1, 0)
FROM strata.executions e LEFT JOIN LATERAL (
    SELECT at, seq FROM strata.records r WHERE r.execution = e.execution ORDER BY seq DESC LIMIT 1
) last ON true

-- name: find
WHERE id = $1

-- name: newest
ORDER BY created DESC, execution DESC LIMIT

-- name: cursor
SELECT created, execution, tenant FROM strata.executions WHERE id = $1

-- name: unfinished
WHERE status IN ('queued', 'running', 'waiting', 'paused') ORDER BY created, execution

-- name: keep_plan
INSERT INTO strata.plans (plan, document) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: plan
SELECT document FROM strata.plans WHERE plan = $1

-- name: deploy
INSERT INTO strata.deployments (flow, tenant, plan, source, created) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, flow) DO UPDATE
SET plan = excluded.plan, source = excluded.source, created = excluded.created

-- name: came_true
SELECT pg_xact_status($1::text::xid8)

-- name: deployed
SELECT flow, tenant, plan, source, created FROM strata.deployments WHERE tenant = $1 AND flow = $2

-- name: flows
SELECT flow, tenant, plan, source, created FROM strata.deployments WHERE tenant = $1 ORDER BY flow

-- name: own_number
SELECT pg_current_xact_id()::text

-- name: retire
DELETE FROM strata.deployments WHERE tenant = $1 AND flow = $2 RETURNING flow

-- name: count_flows
SELECT count(*) FROM strata.deployments WHERE tenant = $1 AND flow <> $2

-- name: shelf_current
SELECT version, created, body IS NOT NULL FROM strata.shelf WHERE kind = $1 AND tenant = $2 AND name = $3

-- name: shelf_count
SELECT count(*) FROM strata.shelf WHERE kind = $1 AND tenant = $2 AND body IS NOT NULL

-- name: shelf_put
INSERT INTO strata.shelf (kind, tenant, name, version, body, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (kind, tenant, name) DO UPDATE
SET version = excluded.version, body = excluded.body, created = excluded.created, updated = excluded.updated

-- name: shelf_get
SELECT tenant, kind, name, version, body, created, updated FROM strata.shelf
WHERE kind = $1 AND tenant = $2 AND name = $3 AND body IS NOT NULL

-- name: shelf_of_tenant
SELECT tenant, kind, name, version, body, created, updated FROM strata.shelf
WHERE kind = $1 AND tenant = $2 AND name > $3 AND body IS NOT NULL
ORDER BY name LIMIT $4

-- name: shelf_of_all
SELECT tenant, kind, name, version, body, created, updated FROM strata.shelf
WHERE kind = $1 AND (tenant, name) > ($2, $3) AND body IS NOT NULL
ORDER BY tenant, name LIMIT $4

-- name: audit_lock
SELECT number, link FROM strata.audit_head FOR UPDATE

-- name: audit_head
SELECT number, link FROM strata.audit_head

-- name: audit_move
UPDATE strata.audit_head SET number = $1, link = $2

-- name: audit_add
INSERT INTO strata.audit (number, tenant, at, by, what, name, version, digest, link)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: audit_lines
SELECT number, tenant, at, by, what, name, version, digest, link FROM strata.audit
WHERE number > $1 ORDER BY number LIMIT $2
