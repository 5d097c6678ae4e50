-- Answers kept for reuse: each under the key of exactly what it answers, and in the group of those
-- among which it may be found by meaning. The body is checked by whoever reads it. Few indexes, since
-- every answer that is made is written: what is seldom asked looks at all of a tenant, or of all.
CREATE TABLE strata.cache_entries (
    entry   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    space   text COLLATE "C" NOT NULL,
    grouped text COLLATE "C" NOT NULL,
    source  text COLLATE "C" NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    tags    text[] NOT NULL,
    body    bytea NOT NULL,
    UNIQUE (tenant, key)
);

CREATE INDEX cache_of_space ON strata.cache_entries (tenant, space, created);

CREATE INDEX cache_of_group ON strata.cache_entries (tenant, grouped, created) WHERE grouped <> '';

-- Counted up when answers are taken away, so that every process lets go of what it holds of them.
CREATE TABLE strata.cache_generations (
    tenant   text COLLATE "C" NOT NULL,
    space    text COLLATE "C" NOT NULL,
    epoch    bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (tenant, space)
);
