"""Names of steps and binders: each is bound once in a flow, so that no expression is captured.

Names mean nothing (they are not in the digest of a flow); these are chosen for readers.
Must never know what they name.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

RESERVED: Final = frozenset({"run", "true", "false", "null", "in"})
"""Words that no step or binder may take."""

TAKEN: Final[ContextVar[set[str] | None]] = ContextVar("taken", default=None)
"""The names bound so far in the flow under construction."""


def fresh(wish: str) -> str:
    """The name wished for, or the first of `wish_2`, `wish_3`… that is free; it is taken from now on."""
    base = re.sub(r"[^A-Za-z0-9_]", "_", wish).lstrip("0123456789_") or "step"
    taken = TAKEN.get()
    if taken is None:
        return base
    name, number = base, 1
    while name in taken or name in RESERVED:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name
