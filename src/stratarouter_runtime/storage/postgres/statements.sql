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

-- name: try_lock
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
WITH alive AS (
    SELECT process FROM strata.processes WHERE process = ANY($7::bigint[]) FOR KEY SHARE
)
INSERT INTO strata.records (batch, execution, at, seq, body, link)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[])
WHERE (SELECT count(*) FROM alive) = cardinality($7::bigint[])

-- name: commit
WITH alive AS (
    SELECT process FROM strata.processes WHERE process = ANY($27::bigint[]) FOR KEY SHARE
), made AS (
    INSERT INTO strata.executions
        (execution, id, tenant, flow, plan, status, created, updated, version, output, failure, usage, owner)
    SELECT * FROM unnest(
        $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[],
        $14::bigint[], $15::integer[], $16::text[], $17::text[], $18::text[], $19::bigint[])
    WHERE (SELECT count(*) FROM alive) = cardinality($27::bigint[])
    ON CONFLICT (id) DO NOTHING
    RETURNING execution
), told AS (
    SELECT * FROM unnest($20::bigint[], $21::text[], $22::bigint[], $23::text[], $24::text[], $25::text[], $26::text[])
        AS told (execution, status, updated, output, failure, usage, plan)
    WHERE (SELECT count(*) FROM alive) = cardinality($27::bigint[])
), restated AS (
    UPDATE strata.executions e
    SET status = told.status, updated = greatest(e.updated, told.updated),
        output = told.output, failure = told.failure, usage = told.usage, plan = told.plan,
        owner = CASE told.status WHEN 'paused' THEN 0 ELSE e.owner END
    FROM told
    WHERE e.execution = told.execution
        -- A commit told twice must not say anew what another process has changed since.
        AND (e.owner = 0 OR e.owner = ANY($27::bigint[]) OR cardinality($27::bigint[]) = 0)
), kept AS (
    INSERT INTO strata.records (batch, execution, at, seq, body, link)
    SELECT $1, r.execution, r.at, r.seq, r.body, r.link
    FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[])
        AS r (execution, at, seq, body, link)
    WHERE (SELECT count(*) FROM alive) = cardinality($27::bigint[])
        AND (r.execution <> ALL($7::bigint[]) OR r.execution IN (SELECT execution FROM made))
)
SELECT (SELECT count(*) FROM alive) = cardinality($27::bigint[]), ARRAY(SELECT execution FROM made)

-- name: made
SELECT execution FROM strata.executions WHERE execution = ANY($1::bigint[])

-- name: kept
SELECT count(*) FROM strata.records WHERE execution = $1 AND seq = $2 AND batch = $3

-- name: read
SELECT seq, at, CASE WHEN substring(body FROM 1 FOR 1) = '\x00'
    THEN (SELECT b.body FROM strata.blobs b WHERE b.digest = substring(r.body FROM 2)) ELSE body END, link
FROM strata.records r
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
SELECT flow, tenant, plan, source, created FROM strata.deployments
WHERE tenant = $1 AND flow > $2 ORDER BY flow LIMIT $3

-- name: deployed_plans
SELECT flow, plan FROM strata.deployments WHERE tenant = $1 ORDER BY flow

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

-- name: enter
INSERT INTO strata.processes (sessions, kept, ends, host, pid)
VALUES ($1::bigint[], clock_timestamp(), clock_timestamp() + make_interval(secs => $2), $3, $4)
RETURNING process

-- name: beside
SELECT process, pid FROM strata.processes WHERE host = $1 AND pid <> $2

-- name: keep
UPDATE strata.processes
SET kept = clock_timestamp(), ends = clock_timestamp() + make_interval(secs => $2)
WHERE process = $1 RETURNING process

-- name: holds
SELECT process FROM strata.processes WHERE process = $1

-- name: living
SELECT process FROM strata.processes

-- name: leave
DELETE FROM strata.processes WHERE process = $1

-- name: take_expired
DELETE FROM strata.processes p
WHERE ends < clock_timestamp()
    OR (kept < clock_timestamp() - make_interval(secs => $1) OR process = ANY($2::bigint[])) AND NOT EXISTS (
        SELECT FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.objsubid = 1
            AND (l.classid::bigint << 32 | l.objid::bigint) = ANY(p.sessions)
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))

-- name: claim
WITH RECURSIVE owners AS (
    (SELECT owner FROM strata.executions
    WHERE status IN ('queued', 'running', 'waiting', 'paused') ORDER BY owner LIMIT 1)
    UNION ALL
    SELECT (SELECT e.owner FROM strata.executions e
        WHERE status IN ('queued', 'running', 'waiting', 'paused') AND e.owner > o.owner
        ORDER BY e.owner LIMIT 1)
    FROM owners o WHERE o.owner IS NOT NULL
), alive AS (
    SELECT process FROM strata.processes WHERE process = $1 FOR KEY SHARE
), orphans AS (
    SELECT execution FROM strata.executions
    WHERE status IN ('queued', 'running', 'waiting')
        AND owner = ANY(ARRAY(
            SELECT o.owner FROM owners o
            WHERE o.owner IS NOT NULL
                AND NOT EXISTS (SELECT FROM strata.processes p WHERE p.process = o.owner)))
    ORDER BY owner, created, execution LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE strata.executions e SET owner = $1
FROM orphans o WHERE e.execution = o.execution AND EXISTS (SELECT FROM alive)
RETURNING e.id, e.created, e.execution

-- name: take
WITH alive AS (
    SELECT process FROM strata.processes WHERE process = $1 FOR KEY SHARE
), found AS (
    SELECT execution, owner FROM strata.executions WHERE id = $2
)
UPDATE strata.executions e SET owner = $1
FROM found f
WHERE e.execution = f.execution AND e.owner = f.owner
    AND e.status IN ('queued', 'running', 'waiting', 'paused')
    AND (f.owner = $1 OR NOT EXISTS (SELECT FROM strata.processes p WHERE p.process = f.owner))
    AND EXISTS (SELECT FROM alive)
RETURNING e.id

-- name: held
SELECT id FROM strata.executions
WHERE owner = $1 AND status IN ('queued', 'running', 'waiting') ORDER BY created, execution

-- name: mail_post
WITH old AS (
    DELETE FROM strata.mail WHERE posted < clock_timestamp() - make_interval(hours => 1)
)
INSERT INTO strata.mail (execution, body, posted) VALUES ($1, $2, clock_timestamp()) RETURNING letter

-- name: mail_collect
WITH new AS (
    SELECT letter, seen FROM strata.mail m JOIN strata.executions e ON e.id = m.execution
    WHERE outcome IS NULL AND owner = $1 AND seen <> $1
)
UPDATE strata.mail m SET seen = $1 FROM new WHERE m.letter = new.letter AND m.seen = new.seen
RETURNING m.letter, m.execution, m.body, new.seen <> 0

-- name: mail_settle
UPDATE strata.mail SET outcome = coalesce(outcome, $2) WHERE letter = $1

-- name: mail_outcome
SELECT outcome FROM strata.mail WHERE letter = $1

-- name: mail_withdraw
DELETE FROM strata.mail WHERE letter = $1 AND seen = 0

-- name: mail_there
SELECT FROM strata.mail WHERE letter = $1

-- What is forgotten is forgotten by nobody who keeps at the same moment: many may keep, one may forget.
-- name: cache_keeping
SELECT pg_advisory_xact_lock_shared(hashtext('stratarouter cache'))

-- name: cache_forgetting
SELECT pg_advisory_xact_lock(hashtext('stratarouter cache'))

-- name: cache_keep
INSERT INTO strata.cache_entries (tenant, key, space, grouped, source, created, expires, tags, body)
SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::bigint, $8::text[], $9::bytea
WHERE $10::bigint >= coalesce(
    (SELECT revision FROM strata.cache_generations WHERE tenant = $1 AND space = $3), 0)
ON CONFLICT (tenant, key) DO UPDATE SET space = excluded.space, grouped = excluded.grouped,
    source = excluded.source, created = excluded.created, expires = excluded.expires,
    tags = excluded.tags, body = excluded.body

-- name: cache_find
SELECT tenant, key, space, grouped, source, created, expires, tags, body FROM strata.cache_entries
WHERE tenant = $1 AND key = $2

-- name: cache_group
SELECT tenant, key, space, grouped, source, created, expires, tags, body FROM strata.cache_entries
WHERE tenant = $1 AND grouped = $2 AND grouped <> '' ORDER BY created DESC, entry DESC LIMIT $3

-- name: cache_count
SELECT count(*) FROM strata.cache_entries

-- name: cache_forget
DELETE FROM strata.cache_entries

-- name: cache_selected
WHERE tenant = $1 AND ($2::text IS NULL OR space = $2) AND ($3::text IS NULL OR $3 = ANY(tags))
AND ($4::bigint IS NULL OR created < $4) AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR key = $6)

-- name: cache_forgotten
RETURNING space, key

-- name: cache_next
INSERT INTO strata.cache_generations AS g (tenant, space, epoch, revision) VALUES ($1, $2, $3, 1)
ON CONFLICT (tenant, space) DO UPDATE SET epoch = g.epoch + excluded.epoch, revision = g.revision + 1

-- name: cache_generations
SELECT tenant, space, epoch, revision FROM strata.cache_generations ORDER BY tenant, space

-- name: cache_expire
DELETE FROM strata.cache_entries WHERE expires < $1 RETURNING 1

-- name: cache_shorten
DELETE FROM strata.cache_entries WHERE entry IN (
    SELECT entry FROM strata.cache_entries ORDER BY created DESC, entry DESC OFFSET $1
) RETURNING 1

-- name: cache_holdings
SELECT space, count(*), sum(length(body))::bigint FROM strata.cache_entries
WHERE tenant = $1 GROUP BY space ORDER BY space

-- name: snapshot_save
INSERT INTO strata.snapshots AS kept (execution, seq, body) SELECT $1::text, $2::integer, $3::bytea
WHERE EXISTS (
    SELECT 1 FROM strata.executions
    WHERE id = $1 AND status IN ('queued', 'running', 'waiting', 'paused')
)
ON CONFLICT (execution) DO UPDATE SET seq = excluded.seq, body = excluded.body WHERE excluded.seq > kept.seq

-- name: snapshot_load
SELECT body FROM strata.snapshots WHERE execution = $1

-- name: snapshot_drop
DELETE FROM strata.snapshots WHERE execution = $1

-- name: mail_discard
DELETE FROM strata.mail WHERE letter = $1

-- name: tenant
INSERT INTO strata.tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING

-- name: tenant_lock
SELECT day, started, requests FROM strata.tenants WHERE tenant = $1 FOR UPDATE

-- name: used
SELECT day, started, requests FROM strata.tenants WHERE tenant = $1

-- name: exists
SELECT EXISTS (SELECT FROM strata.executions WHERE id = $1)

-- name: active
SELECT count(*) FROM strata.executions
WHERE tenant = $1 AND limited AND status IN ('queued', 'running', 'waiting', 'paused')

-- name: lease_holds
SELECT process FROM strata.processes WHERE process = $1 FOR KEY SHARE

-- name: create_limited
INSERT INTO strata.executions
    (execution, id, tenant, flow, plan, status, created, updated, version, output, failure, usage, owner, limited)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true)
ON CONFLICT (id) DO NOTHING
RETURNING execution

-- name: record
INSERT INTO strata.records (execution, batch, at, seq, body, link) VALUES ($1, $2, $3, $4, $5, $6)

-- name: count_started
UPDATE strata.tenants SET day = $2, started = $3 WHERE tenant = $1

-- name: count_requests
UPDATE strata.tenants SET requests = $2 WHERE tenant = $1

-- name: totals
SELECT count(*), count(*) FILTER (WHERE status = 'completed'),
    count(*) FILTER (WHERE status IN ('failed', 'timed_out', 'cancelled')),
    coalesce(sum((usage::jsonb ->> 'usd')::float8), 0),
    coalesce(sum((usage::jsonb ->> 'tokens_in')::bigint), 0)::bigint,
    coalesce(sum((usage::jsonb ->> 'tokens_out')::bigint), 0)::bigint,
    coalesce(sum((usage::jsonb ->> 'ms')::float8), 0)
FROM strata.executions WHERE tenant = $1 AND created >= $2 AND ($3::text IS NULL OR flow = $3)

-- name: blob_keep
INSERT INTO strata.blobs (digest, body) VALUES ($1, $2)
ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest

-- name: blob_use
INSERT INTO strata.blob_uses (execution, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: blob_hold
SELECT FROM strata.blobs WHERE digest = ANY($1::bytea[]) ORDER BY digest FOR UPDATE

-- name: blob_drop
DELETE FROM strata.blobs b WHERE digest = ANY($1::bytea[])
    AND NOT EXISTS (SELECT FROM strata.blob_uses u WHERE u.digest = b.digest)

-- name: blobs
SELECT digest, body FROM strata.blobs WHERE digest > $1 ORDER BY digest LIMIT $2

-- name: size
SELECT (SELECT count(*) FROM strata.executions),
    (SELECT count(*) FROM strata.executions WHERE status IN ('queued', 'running', 'waiting', 'paused')),
    r.records, r.bytes,
    (SELECT count(*) FROM strata.blobs), (SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM strata.blobs),
    (SELECT count(*) FROM strata.snapshots),
    (SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM strata.snapshots),
    (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
        WHERE relnamespace = 'strata'::regnamespace AND relkind = 'r'), 0
FROM (SELECT count(*) AS records, coalesce(sum(octet_length(body)), 0)::bigint AS bytes FROM strata.records) r

-- name: past
SELECT id, created, updated, execution,
    (coalesce((SELECT sum(octet_length(body)) FROM strata.records r WHERE r.execution = e.execution), 0) + coalesce(
        (SELECT sum(octet_length(b.body)) FROM strata.blob_uses u JOIN strata.blobs b ON b.digest = u.digest
        WHERE u.execution = e.execution), 0))::bigint,
    (SELECT CASE WHEN substring(r.body FROM 1 FOR 1) = '\x00'
        THEN (SELECT b.body FROM strata.blobs b WHERE b.digest = substring(r.body FROM 2)) ELSE r.body END
    FROM strata.records r WHERE r.execution = e.execution AND seq = 0)
FROM strata.executions e
WHERE status NOT IN ('queued', 'running', 'waiting', 'paused')
    AND (created, execution) > ($1, $2) AND created < $3
ORDER BY created, execution LIMIT $4

-- name: beginnings
SELECT id, CASE WHEN substring(r.body FROM 1 FOR 1) = '\x00'
    THEN (SELECT b.body FROM strata.blobs b WHERE b.digest = substring(r.body FROM 2)) ELSE r.body END
FROM strata.executions e JOIN strata.records r ON r.execution = e.execution AND r.seq = 0
WHERE status IN ('queued', 'running', 'waiting', 'paused')

-- name: remove
WITH gone AS (
    DELETE FROM strata.executions
    WHERE id = ANY($1::text[]) AND status NOT IN ('queued', 'running', 'waiting', 'paused')
    RETURNING execution, id
), noted AS (
    INSERT INTO strata.removed (execution) SELECT execution FROM gone
)
SELECT id FROM gone

-- name: remove_snapshots
DELETE FROM strata.snapshots WHERE execution = ANY($1::text[])

-- name: remove_mail
DELETE FROM strata.mail WHERE execution = ANY($1::text[])

-- name: removed
SELECT EXISTS (SELECT FROM strata.removed)

-- name: by_index
SELECT set_config(name, 'off', true) FROM (VALUES ('enable_seqscan'), ('enable_hashjoin'), ('enable_mergejoin')) AS s (name)

-- name: sweep_records
DELETE FROM strata.records r USING (
    SELECT k.execution, k.seq FROM strata.removed d JOIN strata.records k ON k.execution = d.execution LIMIT $1
) old
WHERE r.execution = old.execution AND r.seq = old.seq

-- name: sweep_uses
DELETE FROM strata.blob_uses b USING (
    SELECT u.execution, u.digest FROM strata.removed d JOIN strata.blob_uses u ON u.execution = d.execution LIMIT $1
) old
WHERE b.execution = old.execution AND b.digest = old.digest
RETURNING b.digest

-- name: sweep_removed
DELETE FROM strata.removed WHERE execution IN (
    SELECT execution FROM strata.removed d
    WHERE NOT EXISTS (SELECT FROM strata.records r WHERE r.execution = d.execution)
        AND NOT EXISTS (SELECT FROM strata.blob_uses u WHERE u.execution = d.execution)
    LIMIT $1
)

-- name: orphans
SELECT
    (SELECT count(*) FROM strata.records r
        WHERE NOT EXISTS (SELECT FROM strata.executions e WHERE e.execution = r.execution)
            AND NOT EXISTS (SELECT FROM strata.removed d WHERE d.execution = r.execution)),
    (SELECT count(*) FROM strata.snapshots s
        WHERE NOT EXISTS (SELECT FROM strata.executions e WHERE e.id = s.execution)),
    (SELECT count(*) FROM strata.mail m
        WHERE NOT EXISTS (SELECT FROM strata.executions e WHERE e.id = m.execution)),
    (SELECT count(*) FROM strata.blobs b
        WHERE NOT EXISTS (SELECT FROM strata.blob_uses u WHERE u.digest = b.digest)),
    (SELECT count(*) FROM strata.blob_uses u
        WHERE NOT EXISTS (SELECT FROM strata.blobs b WHERE b.digest = u.digest))
