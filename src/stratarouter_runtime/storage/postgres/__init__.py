"""The store on PostgreSQL: shared by processes, written in groups, synced before acknowledged."""

from stratarouter_runtime.storage.postgres.migrating import schema_of
from stratarouter_runtime.storage.postgres.store import PostgresStore, open_readonly, open_store

__all__ = ["PostgresStore", "open_readonly", "open_store", "schema_of"]
