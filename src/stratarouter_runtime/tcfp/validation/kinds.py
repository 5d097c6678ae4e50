"""Kinds of errors: those built in, how patterns select them, and what an operator can raise.

A kind is a dotted name; the pattern `agent` selects `agent` and every `agent.*`.
Must never know a flow: its own kinds are handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

Kinds: TypeAlias = frozenset[str]

NONE: Final[Kinds] = frozenset()
ANYTHING: Final = "*"
"""Stands among raised kinds for those that cannot be known (an agent without signature)."""

CANCELLED: Final = "cancelled"
TIMEOUT: Final = "timeout"
EXPRESSION: Final[Kinds] = frozenset({"expression"})
CONVERSION: Final[Kinds] = frozenset({"type"})
TIMED: Final[Kinds] = frozenset({TIMEOUT})
AGENT: Final[Kinds] = frozenset(
    {
        "agent.refused",
        "agent.invalid_output",
        "agent.unavailable",
        "agent.rate_limited",
        "policy",
        "sandbox",
        "sandbox.network",
        "sandbox.process",
        "limit.cpu",
        "limit.memory",
        "limit.time",
        "limit.output",
        "limit.disk",
    }
)
NO_ROUTE: Final[Kinds] = frozenset({"no_route"})
ALL_FAILED: Final[Kinds] = frozenset({"all_failed"})
TOO_MANY: Final[Kinds] = frozenset({"limit.items"})

BUILT_IN: Final[Kinds] = (
    AGENT
    | EXPRESSION
    | CONVERSION
    | TIMED
    | NO_ROUTE
    | ALL_FAILED
    | TOO_MANY
    | {"limit.usd", "limit.tokens", "limit.time", "limit.steps", CANCELLED}
)
FAMILIES: Final[Kinds] = frozenset({"agent", "limit", "sandbox"})
"""Prefixes that no own kind may extend."""


def selects(pattern: str, kind: str) -> bool:
    """Whether `on: [pattern]` catches `kind`."""
    return kind == pattern or kind.startswith(f"{pattern}.")


def selected(patterns: Iterable[str], kinds: Iterable[str]) -> Kinds:
    """Those of `kinds` that any of the patterns catches."""
    wanted = tuple(patterns)
    return frozenset(kind for kind in kinds if any(selects(pattern, kind) for pattern in wanted))


def own(kinds: Kinds) -> Kinds:
    """Those that are not built in."""
    return kinds - BUILT_IN - {ANYTHING}


def reserved(kind: str) -> bool:
    """Whether a flow may not declare this kind: it is built in, or of a built-in family."""
    return kind in BUILT_IN or kind.partition(".")[0] in FAMILIES
