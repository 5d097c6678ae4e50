"""Which versions of registered agents are taken away: those that nothing can call any more, the oldest first.

Must never know: what an agent is, or which flows there are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.agents.documents import KIND, VERSIONS, Document, read_document

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.ports import Kept, Shelf

_PAGE: Final = 200
_SHARE: Final = 10
"""At most a tenth is taken away at a time: an old execution may still be forked."""


async def prune(shelf: Shelf, tenant: Tenant, linked: AbstractSet[Digest], *, at: int, by: str = "") -> int:
    """Take away versions that are neither in force, nor `linked`, nor used by one that is; how many."""
    versions = {
        document.digest: (kept, document) async for kept, document in _documents(shelf, tenant, VERSIONS)
    }
    pending = {document.digest async for _, document in _documents(shelf, tenant, KIND)} | linked
    needed: set[Digest] = set()
    while pending:
        digest = pending.pop()
        needed.add(digest)
        if digest in versions:
            pending |= set(versions[digest][1].uses.values()) - needed
    spare = sorted((kept for digest, (kept, _) in versions.items() if digest not in needed), key=_age)
    going = spare[: max(1, len(versions) // _SHARE)]
    for kept in going:
        await shelf.remove(tenant, VERSIONS, kept.name, at=at, by=by)
    return len(going)


def _age(kept: Kept) -> tuple[int, str]:
    return kept.updated, kept.name


async def _documents(shelf: Shelf, tenant: Tenant, kind: str) -> AsyncIterator[tuple[Kept, Document]]:
    page = await shelf.all(tenant, kind, limit=_PAGE)
    while page:
        for kept in page:
            yield kept, read_document(kept)
        page = await shelf.all(tenant, kind, after=page[-1].name, limit=_PAGE)
