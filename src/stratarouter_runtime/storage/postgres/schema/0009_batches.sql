-- Half a name is enough to tell two commits apart that brought the same record, and a record is a
-- word shorter then. Whoever commits takes the lower half of a number of his own.
ALTER TABLE strata.records ALTER COLUMN batch TYPE integer USING (batch & 2147483647)::integer;
