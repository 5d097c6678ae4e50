-- Where a process runs, and its number there: whoever is on the same host sees at once that it has ended.
ALTER TABLE strata.processes
    ADD COLUMN host text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN pid  integer NOT NULL DEFAULT 0;
