"""The statements and migrations of the PostgreSQL store.

Must never know: how connections are opened, or what the statements are for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stratarouter_runtime.storage import texts
from stratarouter_runtime.storage.postgres.text import to_server

if TYPE_CHECKING:
    import asyncpg

_HERE: Final = "stratarouter_runtime.storage.postgres"


@cache
def _statements() -> dict[str, str]:
    return texts.statements(_HERE)


def statement(name: str) -> str:
    """The text of a statement of `statements.sql`."""
    return _statements()[name]


async def value(connection: asyncpg.Connection, name: str, *arguments: Any) -> Any:
    """The first value that a statement of `statements.sql` gives, if any."""
    return await connection.fetchval(statement(name), *map(to_server, arguments))


@cache
def migrations() -> tuple[tuple[str, str], ...]:
    """Name and text of every migration in order; the first has number 1."""
    return texts.migrations(_HERE)
