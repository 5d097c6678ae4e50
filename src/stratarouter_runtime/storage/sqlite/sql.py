"""The statements and migrations of the SQLite store, read from the `.sql` files beside this one.

Must never know: connections, or what the statements are for.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_HERE: Final = files("stratarouter_runtime.storage.sqlite")
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _statements() -> dict[str, str]:
    _, *parts = _NAME.split(_HERE.joinpath("statements.sql").read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def statement(name: str) -> str:
    """The text of a statement of `statements.sql`."""
    return _statements()[name]


def migrations() -> tuple[str, ...]:
    """All migrations in order; after number n (from 1), `PRAGMA user_version` is n."""
    folder = _HERE.joinpath("schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
