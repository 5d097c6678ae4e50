"""The statements and migrations of the PostgreSQL store, read from the `.sql` files beside this one.

Must never know: connections, or what the statements are for.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_HERE: Final = files("stratarouter_runtime.storage.postgres")
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _statements() -> dict[str, str]:
    _, *parts = _NAME.split(_HERE.joinpath("statements.sql").read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def statement(name: str) -> str:
    """The text of a statement of `statements.sql`."""
    return _statements()[name]


@cache
def migrations() -> tuple[tuple[str, str], ...]:
    """Name and text of every migration in order; the first has number 1."""
    folder = _HERE.joinpath("schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        (name.removesuffix(".sql"), folder.joinpath(name).read_text(encoding="utf-8")) for name in names
    )
