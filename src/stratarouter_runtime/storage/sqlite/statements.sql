-- name: head
SELECT execution, coalesce((SELECT max(seq) + 1 FROM records r WHERE r.execution = e.execution), 0)
FROM executions e WHERE id = :id

-- name: create
INSERT INTO executions (id, tenant, flow, plan, status, created, updated, version, output, failure, usage)
VALUES (:id, :tenant, :flow, :plan, :status, :created, :updated, :version, :output, :failure, :usage)
RETURNING execution

-- name: append
INSERT INTO records (execution, seq, at, body, link) VALUES (?, ?, ?, ?, ?)

-- name: restate
UPDATE executions
SET status = :status, updated = max(updated, :updated), output = :output, failure = :failure, usage = :usage
WHERE execution = :execution

-- name: read
SELECT seq, at, body, link FROM records
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
SELECT flow, tenant, plan, source, created FROM deployments WHERE tenant = :tenant ORDER BY flow

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
