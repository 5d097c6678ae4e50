"""The routing tables of tenants: kept on the shelf in versions that never change, and one at work.

Fitting makes a version, promoting it has plans that are compiled from now on go by it. Must never know:
HTTP, SQL, who asks a table, or how anything is weighed or learnt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.errors import Conflict, InvalidState, LimitExceeded, NotFound
from stratarouter_runtime.lru import Lru
from stratarouter_runtime.routing.tables import Table, check

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.ports import Clock, Embedder, Kept, Shelf
    from stratarouter_runtime.routing.decisions import Router
    from stratarouter_runtime.routing.fitting import Fitted

TABLES: Final = "routing-table"
VERSIONS: Final = "routing-version"

MAX_TABLES: Final = 1_000
MAX_VERSIONS: Final = 200
"""Of one table. They stay, as plans may go by them."""
PART: Final = 8 * 1024 * 1024
"""Bytes of a version in one document; a larger one takes several."""
_AT_WORK: Final = 16
_AT_ONCE: Final = 64
"""Texts of a table that are embedded at once: whoever asks something meanwhile waits for no more than these."""
_ATTEMPTS: Final = 20
"""To change what others change at the same time."""


class Pointer(Struct, frozen=True):
    """What is known of a table by its name: the digest of each version, and which one is promoted.

    `document` is the version of this record itself, 0 where there is none.
    """

    versions: tuple[str, ...] = ()
    promoted: str = ""
    document: int = 0


class Listed(Struct, frozen=True):
    """A table by its name."""

    name: str
    pointer: Pointer


class Versions:
    """Belongs to one event loop. One table is fitted at a time; who else fits waits."""

    def __init__(self, shelf: Shelf, embedder: Embedder, clock: Clock) -> None:
        self._shelf = shelf
        self._embedder = embedder
        self._clock = clock
        self._routers: Lru[tuple[Tenant, str], Router] = Lru(_AT_WORK)
        self._fitting = asyncio.Lock()

    async def pointer(self, tenant: Tenant, name: str) -> Pointer:
        """Which versions of a table there are; none of a table that is not there."""
        return _pointer(await self._shelf.get(tenant, TABLES, name))

    async def all(self, tenant: Tenant, after: str = "", limit: int = 1_000) -> list[Listed]:
        """The tables of a tenant behind `after`, by name."""
        found = await self._shelf.all(tenant, TABLES, after, limit)
        return [Listed(each.name, _pointer(each)) for each in found]

    async def fit(self, table: Table, *, quick: bool = False) -> Fitted:
        """Learn from a table. Raises `InvalidInput` that names its faults."""
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost

        check(table)
        known = fitting.examples(table)
        texts = [*known.texts, *table.foreign()]
        async with self._fitting:
            parts: list[bytes] = []
            for start in range(0, len(texts), _AT_ONCE):
                parts += await self._embedder.embed(texts[start : start + _AT_ONCE])
            vectors, count = fitting.matrix(parts), len(known.texts)
            identity = self._embedder.identity
            return await asyncio.to_thread(
                fitting.fit, table, vectors[:count], vectors[count:], identity, quick=quick
            )

    async def add(
        self, tenant: Tenant, fitted: Fitted, *, promote: bool, by: str = "", expected: int | None = None
    ) -> Digest:
        """Keep a new version, and promote it where told; its digest. Adding one twice changes nothing.

        Raises `Conflict` where the table is not at the document `expected`, `LimitExceeded` where it
        would have too many versions.
        """
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost

        name = fitted.table.name
        body = await asyncio.to_thread(fitting.encode, fitted)
        digest = fitting.digest_of(body)
        for attempt in range(1, _ATTEMPTS + 1):
            pointer = await self.pointer(tenant, name)
            _expect(name, pointer, expected)
            after = _with(name, pointer, digest, promote=promote)
            if digest not in pointer.versions and attempt == 1:
                await self._keep(tenant, name, digest, body, by)
            try:
                await self._point(tenant, name, after, pointer, by)
            except Conflict:
                # Somebody else added or promoted one meanwhile: both are wanted.
                if expected is not None or attempt == _ATTEMPTS:
                    raise
            else:
                return digest
        raise AssertionError("the last attempt returns or raises")

    async def promote(
        self, tenant: Tenant, name: str, digest: str, *, by: str = "", expected: int | None = None
    ) -> Digest:
        """Have plans that are compiled from now on go by this version, named by its digest or its beginning.

        Raises `NotFound`, `Conflict`, and `InvalidState` for one that was fitted with another encoder.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            pointer = await self.pointer(tenant, name)
            _expect(name, pointer, expected)
            router = await self.router(tenant, name, _one(name, pointer, digest))
            self._check_encoder(router)
            try:
                await self._point(tenant, name, Pointer(pointer.versions, router.digest), pointer, by)
            except Conflict:
                # Of several who promote without a condition, the last one is meant.
                if expected is not None or attempt == _ATTEMPTS:
                    raise
            else:
                return router.digest
        raise AssertionError("the last attempt returns or raises")

    async def router(self, tenant: Tenant, name: str, digest: str) -> Router:
        """A version of a table at work. Raises `NotFound`."""
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost
        from stratarouter_runtime.routing.decisions import Router  # noqa: PLC0415 - start-up cost

        router = self._routers.get((tenant, digest))
        if router is None:
            body = await self._body(tenant, name, digest)
            found = fitting.digest_of(body)
            if found != digest:
                raise NotFound(
                    f"version {digest[:12]}… of the routing table '{name}' is gone, or was changed"
                )
            router = await asyncio.to_thread(lambda: Router(fitting.decode(body), found))
            self._routers.put((tenant, digest), router)
        return router

    async def named(self, tenant: Tenant, name: str, digest: str = "") -> Router:
        """A version by the beginning of its digest; else the promoted, else the last. Raises `NotFound`."""
        pointer = await self.pointer(tenant, name)
        if not pointer.versions:
            raise NotFound(f"there is no routing table '{name[:140]}'")
        wanted = digest or pointer.promoted or pointer.versions[-1]
        return await self.router(tenant, name, _one(name, pointer, wanted))

    def _check_encoder(self, router: Router) -> None:
        if router.encoder != self._embedder.identity:
            raise InvalidState(
                f"the version was fitted with the encoder {router.encoder}, and {self._embedder.identity} is in use",
                hint="set the encoder that fitted it, or fit a new version",
            )

    async def _keep(self, tenant: Tenant, name: str, digest: str, body: bytes, by: str) -> None:
        for number, start in enumerate(range(0, len(body), PART)):
            part = body[start : start + PART]
            place = _place(name, digest, number)
            await self._shelf.put(tenant, VERSIONS, place, part, at=self._clock.now(), by=by)

    async def _body(self, tenant: Tenant, name: str, digest: str) -> bytes:
        parts: list[bytes] = []
        while (part := await self._shelf.get(tenant, VERSIONS, _place(name, digest, len(parts)))) is not None:
            parts.append(part.body)
            if len(part.body) < PART:
                break
        return b"".join(parts)

    async def _point(self, tenant: Tenant, name: str, to: Pointer, before: Pointer, by: str) -> None:
        body = msgspec.json.encode({"versions": to.versions, "promoted": to.promoted})
        at, quota = self._clock.now(), MAX_TABLES
        await self._shelf.put(tenant, TABLES, name, body, at=at, by=by, expected=before.document, quota=quota)


def _pointer(kept: Kept | None) -> Pointer:
    if kept is None:
        return Pointer()
    return msgspec.structs.replace(msgspec.json.decode(kept.body, type=Pointer), document=kept.version)


def _with(name: str, pointer: Pointer, digest: Digest, *, promote: bool) -> Pointer:
    """The pointer with a version more. Raises `LimitExceeded`."""
    versions = pointer.versions
    if digest not in versions:
        versions = (*versions, digest)
    if len(versions) > MAX_VERSIONS:
        raise LimitExceeded(
            f"the routing table '{name}' has {MAX_VERSIONS} versions, and no room for more",
            hint="go on under another name",
        )
    return Pointer(versions, digest if promote else pointer.promoted)


def _one(name: str, pointer: Pointer, digest: str) -> str:
    """The version whose digest begins so. Raises `NotFound`."""
    found = [one for one in pointer.versions if digest and one.startswith(digest)]
    if len(found) != 1:
        raise NotFound(f"the routing table '{name[:140]}' has no version {digest[:64]!r}")
    return found[0]


def _expect(name: str, pointer: Pointer, expected: int | None) -> None:
    if expected is not None and expected != pointer.document:
        raise Conflict(f"the routing table '{name}' is at {pointer.document}, not {expected}")


def _place(name: str, digest: str, number: int) -> str:
    """Where a part of a version is kept."""
    return f"{name}@{digest[:32]}" + (f"+{number}" if number else "")
