-- The newest snapshot of an execution that has not finished: a shortcut for recovery, and no source.
CREATE TABLE snapshots (
    execution TEXT    NOT NULL PRIMARY KEY,
    seq       INTEGER NOT NULL,
    body      BLOB    NOT NULL
) STRICT;
