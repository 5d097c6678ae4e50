-- Small documents by kind, tenant and name. One that was taken away leaves its row without a body,
-- so that no version of a name ever comes twice.
CREATE TABLE shelf (
    kind    TEXT    NOT NULL,
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    body    BLOB,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT, WITHOUT ROWID;

-- A line for every change of what is kept by name, each linked to the one before it.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    digest  TEXT    NOT NULL,
    link    BLOB    NOT NULL
) STRICT;

-- The last line, kept apart: lines dropped at the end of the audit are missed by it.
CREATE TABLE audit_head (
    sole   INTEGER PRIMARY KEY CHECK (sole = 1),
    number INTEGER NOT NULL,
    link   BLOB    NOT NULL
) STRICT;

INSERT INTO audit_head (sole, number, link) VALUES (1, 0, zeroblob(32));
