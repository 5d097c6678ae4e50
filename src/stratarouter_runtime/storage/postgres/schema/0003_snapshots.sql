-- The newest snapshot of an execution that has not finished: a shortcut for recovery, and no source.
CREATE TABLE strata.snapshots (
    execution text COLLATE "C" PRIMARY KEY,
    seq       integer NOT NULL,
    body      bytea NOT NULL
) WITH (fillfactor = 70);
