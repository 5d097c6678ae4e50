-- Bodies of records above 64 KiB, each kept once; the row of a record holds x'00' and the digest.
CREATE TABLE blobs (
    digest BLOB NOT NULL PRIMARY KEY,
    body   BLOB NOT NULL
) STRICT;

-- Which journals refer to a blob: it goes with the last of them.
CREATE TABLE blob_uses (
    execution INTEGER NOT NULL,
    digest    BLOB    NOT NULL,
    PRIMARY KEY (execution, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_uses_by_digest ON blob_uses (digest);

-- Executions that were taken away, whose records follow them a few at a time. Until they have,
-- their short names are not given again.
CREATE TABLE removed (
    execution INTEGER PRIMARY KEY
) STRICT;
