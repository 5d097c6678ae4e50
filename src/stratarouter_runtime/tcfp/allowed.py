"""What the limits around a step allow a call to reach: hosts, tools, and labels that may leave.

The same record is held against a flow when it is checked, travels with every call, and is held
against what the agent really does. Must never know: who checks, or what is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.tcfp import ir


class Allowed(Struct, frozen=True):
    """Hosts, tools and labels; None allows all of them."""

    hosts: frozenset[str] | None = None
    tools: frozenset[str] | None = None
    labels: frozenset[str] | None = None

    def within(self, limits: ir.Limits | None) -> Allowed:
        """Inner limits narrow outer ones."""
        if limits is None:
            return self
        return self.narrowed(limits.hosts, limits.tools, limits.labels)

    def narrowed(
        self,
        hosts: Iterable[str] | None,
        tools: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> Allowed:
        """What this allows and these lists do as well."""
        if hosts is None and tools is None and labels is None:
            return self
        return Allowed(
            _narrowed(self.hosts, hosts), _narrowed(self.tools, tools), _narrowed(self.labels, labels)
        )


ANYTHING: Final = Allowed()


def _narrowed(outer: frozenset[str] | None, inner: Iterable[str] | None) -> frozenset[str] | None:
    if inner is None:
        return outer
    return frozenset(inner) if outer is None else outer & frozenset(inner)
