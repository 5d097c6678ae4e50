"""Who makes a request, and who lets them in.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant


Scope: TypeAlias = Literal["execute", "read", "deploy", "admin", "operate"]
"""What a caller may do: run and control executions, look, change what is deployed, all of this; and look
at the server as a whole, which no other scope includes since it tells of other tenants."""


class Caller(Struct, frozen=True):
    """Who makes a request, and what they may do. `by` is how the audit names them."""

    tenant: Tenant
    scopes: frozenset[Scope]
    by: str

    def may(self, scope: Scope) -> bool:
        """Whether this is allowed to them."""
        return scope in self.scopes or ("admin" in self.scopes and scope != "operate")


class Door(Protocol):
    """Lets callers in by what they show."""

    async def caller(self, shown: str, /) -> Caller | None:
        """Who shows this; None where it is not valid, for whatever reason. Raises `errors.StoreError`."""
        ...
