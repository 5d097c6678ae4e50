"""The statements and migrations of the PostgreSQL store.

Must never know: connections, or what the statements are for.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from stratarouter_runtime.storage import texts

_HERE: Final = "stratarouter_runtime.storage.postgres"


@cache
def _statements() -> dict[str, str]:
    return texts.statements(_HERE)


def statement(name: str) -> str:
    """The text of a statement of `statements.sql`."""
    return _statements()[name]


@cache
def migrations() -> tuple[tuple[str, str], ...]:
    """Name and text of every migration in order; the first has number 1."""
    return texts.migrations(_HERE)
