"""The store on SQLite: one file, one owner, one writer thread, synced before acknowledged."""

from stratarouter_runtime.storage.sqlite.copying import backup, schema_of
from stratarouter_runtime.storage.sqlite.store import SqliteStore, open_beside, open_readonly, open_store

__all__ = ["SqliteStore", "backup", "open_beside", "open_readonly", "open_store", "schema_of"]
