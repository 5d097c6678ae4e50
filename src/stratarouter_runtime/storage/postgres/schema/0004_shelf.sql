-- Small documents by kind, tenant and name. One that was taken away leaves its row without a body,
-- so that no version of a name ever comes twice.
CREATE TABLE strata.shelf (
    kind    text COLLATE "C" NOT NULL,
    tenant  text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body    bytea,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    PRIMARY KEY (kind, tenant, name)
);

-- A line for every change of what is kept by name, each linked to the one before it.
CREATE TABLE strata.audit (
    number  bigint PRIMARY KEY,
    tenant  text COLLATE "C" NOT NULL,
    at      bigint NOT NULL,
    by      text NOT NULL,
    what    text NOT NULL,
    name    text NOT NULL,
    version bigint NOT NULL,
    digest  text NOT NULL,
    link    bytea NOT NULL
);

-- The last line, kept apart: lines dropped at the end of the audit are missed by it. Who changes
-- anything locks this row first, which puts all changes into one order.
CREATE TABLE strata.audit_head (
    sole   boolean PRIMARY KEY DEFAULT true CHECK (sole),
    number bigint NOT NULL,
    link   bytea NOT NULL
);

INSERT INTO strata.audit_head (number, link) VALUES (0, decode(repeat('00', 32), 'hex'));
