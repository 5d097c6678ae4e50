"""The statements and migrations of a store, read from the `.sql` files of its package.

Must never know: connections, or what the statements are for.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(package: str) -> dict[str, str]:
    """Every statement of the package's `statements.sql`, by the name above it."""
    text = files(package).joinpath("statements.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: part.strip() for name, part in zip(parts[::2], parts[1::2], strict=True)}


def migrations(package: str) -> tuple[tuple[str, str], ...]:
    """Name and text of every migration of the package, in order; the first has number 1."""
    folder = files(package).joinpath("schema")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        (name.removesuffix(".sql"), folder.joinpath(name).read_text(encoding="utf-8")) for name in names
    )
