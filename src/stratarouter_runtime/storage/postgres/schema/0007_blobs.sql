-- Bodies of records above 64 KiB, each kept once; the row of a record holds \x00 and the digest.
-- Who refers to a blob locks its row first, and so does who takes away one that nobody refers to.
CREATE TABLE strata.blobs (
    digest bytea PRIMARY KEY,
    body   bytea NOT NULL
);

-- Which journals refer to a blob: it goes with the last of them.
CREATE TABLE strata.blob_uses (
    execution bigint NOT NULL,
    digest    bytea NOT NULL,
    PRIMARY KEY (execution, digest)
);

CREATE INDEX blob_uses_by_digest ON strata.blob_uses (digest);

-- Executions that were taken away, whose records follow them a few at a time.
CREATE TABLE strata.removed (
    execution bigint PRIMARY KEY
);
