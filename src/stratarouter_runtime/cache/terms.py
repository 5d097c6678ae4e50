"""What a tenant says of the reuse of one flow or agent, beside what its author and the settings say.

It is kept on the shelf, and is no part of what a flow means: a plan stays the same plan. Must never
know: how an answer is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidInput

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.ports import Clock, Kept, Shelf

KIND: Final = "cache-policy"

MOST: Final = 1_000
"""Documents of a tenant."""

GLANCE: Final = 1_000_000
"""Microseconds after which what other processes changed is looked up again."""

TENANTS: Final = 10_000
"""Tenants whose documents are at hand."""

Seconds = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Terms(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """On what terms answers are reused; null is as in the settings.

    `tags` mark what is kept. With the scope `user` nothing is reused for a request that names no user.
    """

    enabled: bool = True
    threshold: Annotated[float, Meta(ge=0.5, le=1)] | None = None
    ttl_seconds: Seconds | None = None
    max_age_seconds: Seconds | None = None
    tags: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=16)] = ()
    scope: Literal["shared", "user"] = "shared"
    shadow_share: Share | None = None


USUAL: Final = Terms()


class TermsBook:
    """The terms of all tenants, by space (`flow:NAME`, `agent:NAME`)."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._known: dict[Tenant, tuple[int, dict[str, Terms]]] = {}
        self._changes = 0

    async def of(self, tenant: Tenant, space: str) -> Terms:
        """What holds now; read anew after a second. Raises `StoreError`."""
        known = self._known.get(tenant)
        if known is None or abs(self._clock.now() - known[0]) > GLANCE:
            known = await self._read(tenant)
        return known[1].get(space, USUAL)

    async def put(self, tenant: Tenant, space: str, terms: Terms, *, by: str = "") -> None:
        """These hold from now on, in other processes within about a second. Raises `StoreError`, `LimitExceeded`."""
        body = msgspec.json.encode(terms)
        await self._shelf.put(tenant, KIND, space, body, at=self._clock.now(), by=by, quota=MOST)
        self._changed(tenant)

    async def remove(self, tenant: Tenant, space: str, *, by: str = "") -> bool:
        """Those of the settings hold again; False where they did already. Raises `StoreError`."""
        gone = await self._shelf.remove(tenant, KIND, space, at=self._clock.now(), by=by)
        self._changed(tenant)
        return gone

    async def all(self, tenant: Tenant) -> dict[str, Terms]:
        """All that a tenant has written, by space. Raises `StoreError`."""
        return (await self._read(tenant))[1]

    def _changed(self, tenant: Tenant) -> None:
        self._known.pop(tenant, None)
        self._changes += 1

    async def _read(self, tenant: Tenant) -> tuple[int, dict[str, Terms]]:
        now, changes, after = self._clock.now(), self._changes, ""
        found: dict[str, Terms] = {}
        while page := await self._shelf.all(tenant, KIND, after):
            found |= {document.name: _decoded(document) for document in page}
            after = page[-1].name
        if changes == self._changes:  # else it may be what was there before
            if len(self._known) >= TENANTS:
                self._known.clear()
            self._known[tenant] = (now, found)
        return now, found


def read_terms(given: object) -> Terms:
    """Terms as somebody wrote them. Raises `InvalidInput`."""
    try:
        return msgspec.convert(given, Terms)
    except msgspec.ValidationError as error:
        hint = f"terms are: {', '.join(Terms.__struct_fields__)}"
        raise InvalidInput(f"the terms do not fit: {error}", hint=hint) from None


def _decoded(document: Kept) -> Terms:
    return msgspec.json.decode(document.body, type=Terms)
