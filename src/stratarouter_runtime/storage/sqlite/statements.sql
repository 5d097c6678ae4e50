-- name: head
SELECT execution, coalesce((SELECT max(seq) + 1 FROM records r WHERE r.execution = e.execution), 0)
FROM executions e WHERE id = :id

-- name: next_place
SELECT 1 + max(coalesce((SELECT max(execution) FROM executions), 0), coalesce((SELECT max(execution) FROM removed), 0))

-- name: create
INSERT INTO executions (id, tenant, flow, plan, status, created, updated, version, output, failure, usage, owner,
    execution)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING

-- name: append
INSERT INTO records (execution, seq, at, body, link) VALUES (?, ?, ?, ?, ?)

-- name: restate
WITH told (execution, status, updated, output, failure, usage, plan) AS (VALUES (?, ?, ?, ?, ?, ?, ?))
UPDATE executions
SET status = told.status, updated = max(executions.updated, told.updated), output = told.output,
    failure = told.failure, usage = told.usage, plan = told.plan,
    owner = CASE told.status WHEN 'paused' THEN 0 ELSE executions.owner END
FROM told WHERE executions.execution = told.execution

-- name: read
SELECT seq, at, CASE substr(body, 1, 1) WHEN x'00' THEN (SELECT b.body FROM blobs b WHERE b.digest = substr(r.body, 2))
    ELSE body END, link
FROM records r
WHERE execution = (SELECT execution FROM executions WHERE id = :id) AND seq > :after
ORDER BY seq

-- name: listed
SELECT id, tenant, flow, plan, status, created, output, failure, usage,
    max(updated, coalesce(
        (SELECT at FROM records r WHERE r.execution = e.execution ORDER BY seq DESC LIMIT 1), 0)),
    coalesce((SELECT max(seq) + 1 FROM records r WHERE r.execution = e.execution), 0)
FROM executions e

-- name: find
WHERE id = :id

-- name: newest
ORDER BY created DESC, execution DESC LIMIT :limit

-- name: cursor
SELECT created, execution, tenant FROM executions WHERE id = :id

-- name: unfinished
WHERE status IN ('queued', 'running', 'waiting', 'paused') ORDER BY created, execution

-- name: keep_plan
INSERT INTO plans (plan, document) VALUES (:plan, :document) ON CONFLICT DO NOTHING

-- name: plan
SELECT document FROM plans WHERE plan = :plan

-- name: deploy
INSERT OR REPLACE INTO deployments (tenant, flow, plan, source, created)
VALUES (:tenant, :flow, :plan, :source, :created)

-- name: deployed
SELECT flow, tenant, plan, source, created FROM deployments WHERE tenant = :tenant AND flow = :flow

-- name: flows
SELECT flow, tenant, plan, source, created FROM deployments
WHERE tenant = :tenant AND flow > :after ORDER BY flow LIMIT :limit

-- name: deployed_plans
SELECT flow, plan FROM deployments WHERE tenant = :tenant ORDER BY flow

-- name: retire
DELETE FROM deployments WHERE tenant = :tenant AND flow = :flow

-- name: count_flows
SELECT count(*) FROM deployments WHERE tenant = :tenant AND flow <> :flow

-- name: shelf_current
SELECT version, created, body IS NOT NULL FROM shelf WHERE kind = :kind AND tenant = :tenant AND name = :name

-- name: shelf_count
SELECT count(*) FROM shelf WHERE kind = :kind AND tenant = :tenant AND body IS NOT NULL

-- name: shelf_put
INSERT OR REPLACE INTO shelf (kind, tenant, name, version, body, created, updated)
VALUES (:kind, :tenant, :name, :version, :body, :created, :updated)

-- name: shelf_get
SELECT tenant, kind, name, version, body, created, updated FROM shelf
WHERE kind = :kind AND tenant = :tenant AND name = :name AND body IS NOT NULL

-- name: shelf_of_tenant
SELECT tenant, kind, name, version, body, created, updated FROM shelf
WHERE kind = :kind AND tenant = :tenant AND name > :name AND body IS NOT NULL
ORDER BY name LIMIT :limit

-- name: shelf_of_all
SELECT tenant, kind, name, version, body, created, updated FROM shelf
WHERE kind = :kind AND (tenant, name) > (:tenant, :name) AND body IS NOT NULL
ORDER BY tenant, name LIMIT :limit

-- name: audit_head
SELECT number, link FROM audit_head

-- name: audit_move
UPDATE audit_head SET number = :number, link = :link

-- name: audit_add
INSERT INTO audit (number, tenant, at, by, what, name, version, digest, link)
VALUES (:number, :tenant, :at, :by, :what, :name, :version, :digest, :link)

-- name: audit_lines
SELECT number, tenant, at, by, what, name, version, digest, link FROM audit
WHERE number > :after ORDER BY number LIMIT :limit

-- name: lease
SELECT coalesce(max(process), 0) FROM processes

-- name: lease_held
SELECT 1 FROM processes WHERE process = :lease

-- name: living
SELECT process FROM processes

-- name: enter
INSERT INTO processes DEFAULT VALUES RETURNING process

-- name: expel_others
DELETE FROM processes WHERE process <> :lease

-- name: leave
DELETE FROM processes WHERE process = :lease

-- name: claim
UPDATE executions SET owner = :lease
WHERE execution IN (
    SELECT execution FROM executions INDEXED BY executions_unfinished
    WHERE status IN ('queued', 'running', 'waiting', 'paused') AND status <> 'paused' AND owner < :lease
    ORDER BY owner, created, execution LIMIT :limit
) AND EXISTS (SELECT 1 FROM processes WHERE process = :lease)
RETURNING id, created, execution

-- name: take
UPDATE executions SET owner = :lease
WHERE id = :id AND status IN ('queued', 'running', 'waiting', 'paused')
    AND EXISTS (SELECT 1 FROM processes WHERE process = :lease)
RETURNING id

-- name: held
SELECT id FROM executions
WHERE owner = :lease AND status IN ('queued', 'running', 'waiting', 'paused') AND status <> 'paused'
ORDER BY created, execution

-- name: mail_post
INSERT INTO mail (execution, body) VALUES (:id, :body) RETURNING letter

-- name: mail_waiting
SELECT letter, m.execution, body, seen FROM mail m JOIN executions e ON e.id = m.execution
WHERE outcome IS NULL AND owner = :lease AND seen <> :lease ORDER BY letter

-- name: mail_seen
UPDATE mail SET seen = :lease
WHERE outcome IS NULL AND seen <> :lease
    AND execution IN (SELECT id FROM executions e WHERE e.id = mail.execution AND owner = :lease)

-- name: mail_settle
UPDATE mail SET outcome = coalesce(outcome, :outcome) WHERE letter = :letter

-- name: mail_outcome
SELECT outcome FROM mail WHERE letter = :letter

-- name: mail_there
SELECT 1 FROM mail WHERE letter = :letter

-- name: mail_withdraw
DELETE FROM mail WHERE letter = :letter AND seen = 0

-- name: cache_keep
INSERT OR REPLACE INTO cache_entries (tenant, key, space, grouped, source, created, expires, tags, body)
SELECT :tenant, :key, :space, :group, :source, :created, :expires, :tags, :body
WHERE :revision >= coalesce(
    (SELECT revision FROM cache_generations WHERE tenant = :tenant AND space = :space), 0)

-- name: cache_find
SELECT tenant, key, space, grouped, source, created, expires, tags, body FROM cache_entries
WHERE tenant = :tenant AND key = :key

-- name: cache_group
SELECT tenant, key, space, grouped, source, created, expires, tags, body FROM cache_entries
WHERE tenant = :tenant AND grouped = :group AND grouped <> '' ORDER BY created DESC, entry DESC LIMIT :limit

-- name: cache_count
SELECT count(*) FROM cache_entries

-- name: cache_forget
DELETE FROM cache_entries

-- name: cache_selected
WHERE tenant = :tenant AND (:space IS NULL OR space = :space) AND (:source IS NULL OR source = :source)
AND (:key IS NULL OR key = :key) AND (:before IS NULL OR created < :before)
AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) t WHERE t.value = :tag))

-- name: cache_forgotten
RETURNING space, key

-- name: cache_next
INSERT INTO cache_generations (tenant, space, epoch, revision) VALUES (:tenant, :space, :epoch, 1)
ON CONFLICT (tenant, space) DO UPDATE SET epoch = epoch + excluded.epoch, revision = revision + 1

-- name: cache_generations
SELECT tenant, space, epoch, revision FROM cache_generations ORDER BY tenant, space

-- name: cache_expire
DELETE FROM cache_entries WHERE expires < :now

-- name: cache_shorten
DELETE FROM cache_entries WHERE entry IN (
    SELECT entry FROM cache_entries ORDER BY created DESC, entry DESC LIMIT -1 OFFSET :most
)

-- name: cache_holdings
SELECT space, count(*), sum(length(body)) FROM cache_entries WHERE tenant = :tenant GROUP BY space ORDER BY space

-- name: snapshot_save
INSERT INTO snapshots (execution, seq, body) SELECT :execution, :seq, :body
WHERE EXISTS (
    SELECT 1 FROM executions WHERE id = :execution AND status IN ('queued', 'running', 'waiting', 'paused')
)
ON CONFLICT (execution) DO UPDATE SET seq = excluded.seq, body = excluded.body WHERE excluded.seq > seq

-- name: snapshot_load
SELECT body FROM snapshots WHERE execution = :execution

-- name: snapshot_drop
DELETE FROM snapshots WHERE execution = :execution

-- name: mail_discard
DELETE FROM mail WHERE letter = :letter

-- name: limit_execution
UPDATE executions SET limited = 1 WHERE execution = :execution

-- name: active
SELECT count(*) FROM executions
WHERE tenant = :tenant AND limited = 1 AND status IN ('queued', 'running', 'waiting', 'paused')

-- name: used
SELECT day, started, requests FROM tenants WHERE tenant = :tenant

-- name: count_started
INSERT INTO tenants (tenant, day, started) VALUES (:tenant, :day, :started)
ON CONFLICT (tenant) DO UPDATE SET day = excluded.day, started = excluded.started

-- name: count_requests
INSERT INTO tenants (tenant, requests) VALUES (:tenant, :requests)
ON CONFLICT (tenant) DO UPDATE SET requests = excluded.requests

-- name: totals
SELECT count(*), coalesce(sum(status = 'completed'), 0),
    coalesce(sum(status IN ('failed', 'timed_out', 'cancelled')), 0),
    coalesce(sum(json_extract(usage, '$.usd')), 0.0), coalesce(sum(json_extract(usage, '$.tokens_in')), 0),
    coalesce(sum(json_extract(usage, '$.tokens_out')), 0), coalesce(sum(json_extract(usage, '$.ms')), 0.0)
FROM executions WHERE tenant = :tenant AND created >= :since AND (:flow IS NULL OR flow = :flow)

-- name: blob_keep
INSERT INTO blobs (digest, body) VALUES (:digest, :body) ON CONFLICT DO NOTHING

-- name: blob_use
INSERT INTO blob_uses (execution, digest) VALUES (:execution, :digest) ON CONFLICT DO NOTHING

-- name: blobs
SELECT digest, body FROM blobs WHERE digest > :behind ORDER BY digest LIMIT :limit

-- name: size
SELECT (SELECT count(*) FROM executions),
    (SELECT count(*) FROM executions WHERE status IN ('queued', 'running', 'waiting', 'paused')),
    r.records, r.bytes,
    (SELECT count(*) FROM blobs), (SELECT coalesce(sum(length(body)), 0) FROM blobs),
    (SELECT count(*) FROM snapshots), (SELECT coalesce(sum(length(body)), 0) FROM snapshots),
    (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size),
    (SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size)
FROM (SELECT count(*) AS records, coalesce(sum(length(body)), 0) AS bytes FROM records) r

-- name: past
SELECT id, created, updated, execution,
    coalesce((SELECT sum(length(body)) FROM records r WHERE r.execution = e.execution), 0) + coalesce(
        (SELECT sum(length(b.body)) FROM blob_uses u JOIN blobs b ON b.digest = u.digest
        WHERE u.execution = e.execution), 0),
    (SELECT CASE substr(r.body, 1, 1) WHEN x'00' THEN (SELECT b.body FROM blobs b WHERE b.digest = substr(r.body, 2))
        ELSE r.body END FROM records r WHERE r.execution = e.execution AND seq = 0)
FROM executions e
WHERE status NOT IN ('queued', 'running', 'waiting', 'paused')
    AND (created, execution) > (:created, :place) AND created < :before
ORDER BY created, execution LIMIT :limit

-- name: beginnings
SELECT id, CASE substr(r.body, 1, 1) WHEN x'00' THEN (SELECT b.body FROM blobs b WHERE b.digest = substr(r.body, 2))
    ELSE r.body END
FROM executions e JOIN records r ON r.execution = e.execution AND r.seq = 0
WHERE status IN ('queued', 'running', 'waiting', 'paused')

-- name: remove
DELETE FROM executions
WHERE id IN (SELECT value FROM json_each(:ids)) AND status NOT IN ('queued', 'running', 'waiting', 'paused')
RETURNING execution, id

-- name: note_removed
INSERT INTO removed (execution) VALUES (?)

-- name: remove_snapshots
DELETE FROM snapshots WHERE execution IN (SELECT value FROM json_each(:ids))

-- name: remove_mail
DELETE FROM mail WHERE execution IN (SELECT value FROM json_each(:ids))

-- name: removed
SELECT EXISTS (SELECT 1 FROM removed)

-- name: sweep_records
DELETE FROM records WHERE place IN (
    SELECT place FROM records WHERE execution IN (SELECT execution FROM removed) LIMIT :limit
)

-- name: sweep_uses
DELETE FROM blob_uses WHERE (execution, digest) IN (
    SELECT u.execution, u.digest FROM removed d CROSS JOIN blob_uses u ON u.execution = d.execution LIMIT :limit
)
RETURNING digest

-- name: sweep_blobs
DELETE FROM blobs WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM blob_uses WHERE digest = ?1)

-- name: sweep_removed
DELETE FROM removed WHERE execution IN (
    SELECT execution FROM removed d
    WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.execution = d.execution)
        AND NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.execution = d.execution)
    LIMIT :limit
)

-- name: orphans
SELECT
    (SELECT count(*) FROM records r WHERE NOT EXISTS (SELECT 1 FROM executions e WHERE e.execution = r.execution)
        AND NOT EXISTS (SELECT 1 FROM removed d WHERE d.execution = r.execution)),
    (SELECT count(*) FROM snapshots s WHERE NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = s.execution)),
    (SELECT count(*) FROM mail m WHERE NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = m.execution)),
    (SELECT count(*) FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.digest = b.digest)),
    (SELECT count(*) FROM blob_uses u WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = u.digest))
