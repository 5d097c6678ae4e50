"""The statements and migrations of the SQLite store.

Must never know: connections, or what the statements are for.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from stratarouter_runtime.storage import texts

_ROW: Final = re.compile(r"(?<=VALUES )\(\?(?:, \?)*\)")

_HERE: Final = "stratarouter_runtime.storage.sqlite"


@cache
def _statements() -> dict[str, str]:
    return texts.statements(_HERE)


def statement(name: str) -> str:
    """The text of a statement of `statements.sql`."""
    return _statements()[name]


@cache
def repeated(name: str, rows: int) -> str:
    """The text of a statement that is written for one row of values, for so many of them."""
    return _ROW.sub(lambda row: ", ".join([row[0]] * rows), statement(name))


@cache
def migrations() -> tuple[str, ...]:
    """All migrations in order; after number n (from 1), `PRAGMA user_version` is n."""
    return tuple(text for _, text in texts.migrations(_HERE))
