"""The reference shelf and its audit: documents in a dictionary, lines in a list.

Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.audit import START, Change, Head, Line, follow, head_of
from stratarouter_runtime.ports import Audit, Kept, Shelf
from stratarouter_runtime.storage.shelving import behind, check_body, check_expected, check_quota

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.ids import Tenant


class MemoryAudit(Audit):
    """The lines, and where they end."""

    def __init__(self, check_open: Callable[[], None]) -> None:
        self._check_open = check_open
        self._lines: list[Line] = []
        self._head = START

    def add(self, change: Change) -> None:
        """Put the line of a change behind all there are."""
        self._lines.append(follow(self._head, change))
        self._head = head_of(self._lines[-1])

    @override
    async def lines(self, after: int = 0, limit: int = 1_000) -> list[Line]:
        self._check_open()
        return [line for line in self._lines if line.number > after][:limit]

    @override
    async def head(self) -> Head:
        self._check_open()
        return self._head


class _Slot(Struct, frozen=True):
    """What is known of a name; without a document once that was taken away."""

    version: int
    kept: Kept | None


class MemoryShelf(Shelf):
    """Documents by kind, tenant and name."""

    def __init__(self, check_open: Callable[[], None], audit: MemoryAudit) -> None:
        self._check_open = check_open
        self._audit = audit
        self._slots: dict[tuple[str, Tenant, str], _Slot] = {}

    @override
    async def put(
        self,
        tenant: Tenant,
        kind: str,
        name: str,
        body: bytes,
        *,
        at: int,
        by: str = "",
        expected: int | None = None,
        quota: int | None = None,
    ) -> int:
        self._check_open()
        check_body(kind, name, body)
        before = self._slots.get((kind, tenant, name), _Slot(0, None))
        check_expected(kind, name, before.version if before.kept else 0, expected)
        if before.kept is None:
            check_quota(kind, tenant, len(self._of(kind, tenant)), quota)
        version = before.version + 1
        created = before.kept.created if before.kept else at
        kept = Kept(tenant, kind, name, version, body, created, at)
        self._slots[kind, tenant, name] = _Slot(version, kept)
        self._audit.add(Change(tenant, at, by, f"put {kind}", name, version, body))
        return version

    @override
    async def get(self, tenant: Tenant, kind: str, name: str) -> Kept | None:
        self._check_open()
        return self._slots.get((kind, tenant, name), _Slot(0, None)).kept

    @override
    async def all(self, tenant: Tenant | None, kind: str, after: str = "", limit: int = 1_000) -> list[Kept]:
        self._check_open()
        found = self._of(kind, tenant)
        if tenant is not None:
            return [kept for kept in found if kept.name > after][:limit]
        return [kept for kept in found if (kept.tenant, kept.name) > behind(after)][:limit]

    @override
    async def remove(
        self, tenant: Tenant, kind: str, name: str, *, at: int, by: str = "", expected: int | None = None
    ) -> bool:
        self._check_open()
        before = self._slots.get((kind, tenant, name), _Slot(0, None))
        check_expected(kind, name, before.version if before.kept else 0, expected)
        if before.kept is None:
            return False
        self._slots[kind, tenant, name] = _Slot(before.version, None)
        self._audit.add(Change(tenant, at, by, f"remove {kind}", name, before.version, None))
        return True

    def _of(self, kind: str, tenant: Tenant | None) -> list[Kept]:
        """Documents of a kind in the order of tenant and name."""
        found = [slot.kept for slot in self._slots.values() if slot.kept and slot.kept.kind == kind]
        mine = [kept for kept in found if tenant is None or kept.tenant == tenant]
        return sorted(mine, key=lambda kept: (kept.tenant, kept.name))
