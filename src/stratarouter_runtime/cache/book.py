"""The terms of all tenants, kept on the shelf.

Must never know: what terms say, or how an answer is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stratarouter_runtime.cache.terms import USUAL, Terms
from stratarouter_runtime.freshness import Recent
from stratarouter_runtime.ids import Tenant

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Clock, Kept, Shelf


KIND: Final = "cache-policy"

MOST: Final = 1_000
"""Documents of a tenant."""


class TermsBook:
    """The terms of all tenants, by space (`flow:NAME`, `agent:NAME`)."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._recent = Recent(self._read, clock)

    async def of(self, tenant: Tenant, space: str) -> Terms:
        """What holds now. Raises `StoreError`."""
        return (await self._recent.get(tenant)).get(space, USUAL)

    async def put(self, tenant: Tenant, space: str, terms: Terms, *, by: str = "") -> None:
        """These hold from now on, in other processes within about a second. Raises `StoreError`, `LimitExceeded`."""
        body = msgspec.json.encode(terms)
        await self._shelf.put(tenant, KIND, space, body, at=self._clock.now(), by=by, quota=MOST)
        self._recent.forget(tenant)

    async def remove(self, tenant: Tenant, space: str, *, by: str = "") -> bool:
        """Those of the settings hold again; False where they did already. Raises `StoreError`."""
        gone = await self._shelf.remove(tenant, KIND, space, at=self._clock.now(), by=by)
        self._recent.forget(tenant)
        return gone

    async def all(self, tenant: Tenant) -> dict[str, Terms]:
        """All that a tenant has written, by space. Raises `StoreError`."""
        return await self._read(tenant)

    async def _read(self, tenant: str) -> dict[str, Terms]:
        found: dict[str, Terms] = {}
        after = ""
        while page := await self._shelf.all(Tenant(tenant), KIND, after):
            found |= {document.name: _decoded(document) for document in page}
            after = page[-1].name
        return found


def _decoded(document: Kept) -> Terms:
    return msgspec.json.decode(document.body, type=Terms)
