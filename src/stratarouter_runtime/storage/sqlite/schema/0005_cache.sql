-- Answers kept for reuse: each under the key of exactly what it answers, and in the group of those
-- among which it may be found by meaning. The body is checked by whoever reads it. Few indexes, since
-- every answer that is made is written: what is seldom asked looks at all of a tenant, or of all.
CREATE TABLE cache_entries (
    entry   INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    space   TEXT    NOT NULL,
    grouped TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    tags    TEXT    NOT NULL,
    body    BLOB    NOT NULL,
    UNIQUE (tenant, key)
) STRICT;

CREATE INDEX cache_of_space ON cache_entries (tenant, space, created);

CREATE INDEX cache_of_group ON cache_entries (tenant, grouped, created) WHERE grouped <> '';

-- Counted up when answers are taken away, so that every process lets go of what it holds of them.
CREATE TABLE cache_generations (
    tenant   TEXT    NOT NULL,
    space    TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant, space)
) STRICT, WITHOUT ROWID;
