"""Whether a store still holds what was written: every chain, digest and reference in it, followed.

Reads only, also while others write: what is newer than a look is left to the next one. Must never
know: SQL, any back-end, or what to do about a fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.audit import START, Head, fault, head_of
from stratarouter_runtime.errors import NotFound, StoreError, StrataError
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Finished, Started
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.replay import plans_of
from stratarouter_runtime.storage.blobs import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.ports import Audit, Execution, Store
    from stratarouter_runtime.services.history import History
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tcfp.plan import Plan

PlanOf: TypeAlias = "Callable[[Digest], Awaitable[Plan]]"
"""The plan of a digest; raises `NotFound` where there is none."""

PAGE: Final = 200
"""Executions looked at together."""

LINES: Final = 1_000
"""Lines of the audit that are read at once."""

TOLD: Final = 100
"""Faults that are told one by one; all are counted."""

ORPHANS: Final = (
    ("records", "records belong to no execution"),
    ("snapshots", "snapshots belong to no execution"),
    ("letters", "letters are about no execution"),
    ("blobs", "blobs are referred to by nobody"),
    ("missing", "references lead to a blob that is not there"),
)
"""What belongs to nothing, and how that is told."""


class Fault(Struct, frozen=True):
    """What is wrong, and where."""

    where: str
    what: str


class Audited(Struct, frozen=True):
    """What following the links of the audit came to: the last line and its link, and what is wrong, if anything."""

    lines: int
    link: str
    fault: str


class Verdict(Struct, frozen=True):
    """What was looked at, and what is wrong: the first faults, and how many there are."""

    executions: int
    records: int
    plans: int
    blobs: int
    audit: Audited
    replayed: int
    wrong: int
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class _Tally:
    """What was found so far. `plans` says of each whether it can be used."""

    executions: int = 0
    records: int = 0
    blobs: int = 0
    replayed: int = 0
    wrong: int = 0
    plans: dict[Digest, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def note(self, where: str, what: str) -> None:
        self.wrong += 1
        if len(self.faults) < TOLD:
            self.faults.append(Fault(where, what))


async def verify(store: Store, plan_of: PlanOf, history: History | None = None) -> Verdict:
    """Follow everything that can be followed; with `history` every decision is derived again too.

    Raises `StoreError` where the store cannot be read.
    """
    tally = _Tally()
    page = await store.search(limit=PAGE)
    while page:
        for row in page:
            await _execution(store, plan_of, row, tally)
            if history is not None:
                await _replay(history, row, tally)
        page = await _older(store, page)
    await _blobs(store, tally)
    await _orphans(store, tally)
    audited = await check_audit(store.audit)
    if audited.fault:
        tally.note("audit", audited.fault)
    return Verdict(
        tally.executions,
        tally.records,
        len(tally.plans),
        tally.blobs,
        audited,
        tally.replayed,
        tally.wrong,
        tuple(tally.faults),
    )


async def _older(store: Store, page: Sequence[Execution]) -> list[Execution]:
    """The page behind one, of which the last may have been forgotten meanwhile."""
    for row in reversed(page):
        try:
            return await store.search(before=row.id, limit=PAGE)
        except NotFound:
            continue
    return []


async def _execution(store: Store, plan_of: PlanOf, row: Execution, tally: _Tally) -> None:
    try:
        records = await store.read(row.id)
    except StoreError as error:
        tally.note(row.id, error.message)
        return
    if not records and await store.find(row.id) is None:
        return  # forgotten meanwhile
    tally.executions += 1
    tally.records += len(records)
    try:
        what = _chain(records, row) or await _plans(plan_of, records, row, tally) or _end(records, row)
    except StrataError as error:
        what = error.message
    if what:
        tally.note(row.id, what)


def _chain(records: Sequence[Record], row: Execution) -> str:
    """Raises `JournalMismatch` for the first record that does not follow from those before it."""
    ledger = Ledger()
    for record in records:
        ledger.check(record)
    if len(records) < row.records or not records:
        return f"{row.records} records are listed, and {len(records)} are there"
    started = decode(records[0].body)
    if not isinstance(started, Started) or started.id != row.id:
        return "its journal begins with the start of another execution"
    return ""


async def _plans(plan_of: PlanOf, records: Sequence[Record], row: Execution, tally: _Tally) -> str:
    named = plans_of(records[: row.records])
    if row.plan != named[-1]:
        return f"it is listed with plan {row.plan[:12]}…, and its journal goes by {named[-1][:12]}…"
    for digest in named:
        if digest not in tally.plans:
            tally.plans[digest] = await _plan(plan_of, digest)
    return next((tally.plans[digest] for digest in named if tally.plans[digest]), "")


async def _plan(plan_of: PlanOf, digest: Digest) -> str:
    try:
        plan = await plan_of(digest)
    except StrataError as error:
        return f"plan {digest[:12]}… cannot be used: {error.message}"
    return "" if plan.digest == digest else f"plan {digest[:12]}… is another: {plan.digest[:12]}…"


def _end(records: Sequence[Record], row: Execution) -> str:
    """Whether the listed row and the journal say the same of the end."""
    last = decode(records[row.records - 1].body)
    told = last.status if isinstance(last, Finished) else None
    listed = row.status if row.status in ENDED else None
    return (
        "" if told == listed else f"it is listed as {row.status}, and its journal says {told or 'unfinished'}"
    )


async def _replay(history: History, row: Execution, tally: _Tally) -> None:
    try:
        proof = await history.replay(row.id)
    except StrataError as error:
        tally.note(row.id, f"it does not replay: {error.message}")
        return
    tally.replayed += 1
    if not proof.reproducible:
        tally.note(row.id, f"it does not replay: {proof.divergence}")


async def _blobs(store: Store, tally: _Tally) -> None:
    behind = b""
    while page := await store.keeping.blobs(behind, 16):
        for name, body in page:
            tally.blobs += 1
            if digest_of(body) != name:
                tally.note(
                    f"blob {name.hex()[:12]}…", "it is not what was written: its content has another digest"
                )
        behind = page[-1][0]


async def _orphans(store: Store, tally: _Tally) -> None:
    found = await store.keeping.orphans()
    for name, what in ORPHANS:
        if count := getattr(found, name):
            tally.note(name, f"{count} {what}")


async def check_audit(lines: Audit, wanted: str | None = None) -> Audited:
    """Follow every link of the audit; `wanted` is one that has to stand in it."""
    noted = await lines.head()
    head, seen = START, wanted in (None, START.link.hex())
    while page := await lines.lines(head.number, LINES):
        for line in page:
            if found := fault(head, line):
                return _audited(head, found)
            head = head_of(line)
            seen = seen or line.link.hex() == wanted
    if head.number < noted.number:
        return _audited(head, f"lines {head.number + 1} to {noted.number} are missing at the end")
    if head.number == noted.number and head != noted:
        return _audited(head, "the last line is not the one that was noted beside it")
    return _audited(head, "" if seen else "no line has the link that --head names: the audit was rewritten")


def _audited(head: Head, found: str) -> Audited:
    return Audited(head.number, head.link.hex(), found)
