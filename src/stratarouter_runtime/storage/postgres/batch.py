"""What goes into one commit: writes turned into the columns of one statement; pure.

Refuses here what can be refused without asking, so that a write that fails spoils no other
of the same commit. Must never know: connections, or when anything is committed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stratarouter_runtime.errors import Conflict
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.blobs import Parted, parted
from stratarouter_runtime.storage.postgres.text import to_server, written
from stratarouter_runtime.storage.rows import columns_of, end_of
from stratarouter_runtime.storage.rules import check_records, unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stratarouter_runtime.errors import StrataError
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record

LARGEST: Final = 2**63 - 1
"""Of the database's integers."""


@dataclass(slots=True)
class Create:
    """Begin an execution under this short name; gives False where the id is taken.

    Raises `LimitExceeded` for a record that no store takes, as `Append` does.
    """

    place: int
    execution: Execution
    records: Sequence[Record]
    lease: Lease = NOBODY
    facts: Parted = field(init=False)

    def __post_init__(self) -> None:
        """Part the records once, however often they are staged."""
        self.facts = parted(self.execution.id, self.records)

    @property
    def id(self) -> ExecutionId:
        """The execution it is about."""
        return self.execution.id


@dataclass(slots=True)
class Append:
    """Add records to a journal, and say anew how the execution is listed."""

    id: ExecutionId
    records: Sequence[Record]
    status: Execution | None
    lease: Lease = NOBODY
    facts: Parted = field(init=False)

    def __post_init__(self) -> None:
        """Part the records once, however often they are staged."""
        self.facts = parted(self.id, self.records)


Write: TypeAlias = Create | Append
Outcome: TypeAlias = "bool | StrataError | None"
"""What a write gives, or what it raises."""


@dataclass(slots=True)
class Head:
    """Where a journal goes on: the execution's short name, and its next number.

    The number may lie too low, since other processes write too, but never too high: nothing is
    taken out of a journal before its end, and what has ended is not remembered. So a record written
    under it either follows all there are, or its number is taken, which the key of the table refuses.
    """

    place: int
    next: int


@dataclass(slots=True)
class Staged:
    """The rows of one statement, and what is known already of each write, by its position."""

    executions: list[tuple[Any, ...]] = field(default_factory=list)
    statuses: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    records: list[tuple[int, int, int, bytes, bytes]] = field(default_factory=list)
    heads: dict[ExecutionId, Head] = field(default_factory=dict)
    decided: dict[int, Outcome] = field(default_factory=dict)
    stale: set[ExecutionId] = field(default_factory=set)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    uses: list[tuple[int, bytes]] = field(default_factory=list)
    appended: tuple[int, int] | None = None
    """Place and number of one record that is there exactly if the commit came true."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.executions or self.statuses or self.records)

    def record_columns(self) -> list[list[Any]]:
        """Place, time, number, body and link of every record.

        In the order of places, so that two processes never wait for each other in a circle.
        """
        return _columns(sorted(self.records, key=itemgetter(0)), 5)

    def all_columns(self) -> list[list[Any]]:
        """The columns of records, then of executions, then of statuses told anew."""
        executions = _columns(sorted(self.executions, key=itemgetter(1)), 13)
        statuses = _columns([self.statuses[place] for place in sorted(self.statuses)], 7)
        return [*self.record_columns(), *executions, *statuses]

    def outcomes(self, writes: Sequence[Write], made: Collection[int]) -> list[Outcome]:
        """What every write gives, once the statement is committed."""
        return [
            self.decided[index] if index in self.decided else _outcome(write, made)
            for index, write in enumerate(writes)
        ]


def leases_of(writes: Sequence[Write]) -> list[Lease]:
    """The leases under which these writes come true."""
    return sorted({write.lease for write in writes if write.lease != NOBODY})


def stage(
    writes: Sequence[Write], heads: Mapping[ExecutionId, Head], fresh: Collection[ExecutionId]
) -> Staged:
    """Turn writes into rows, in their order.

    `heads` are those known; where one does not fit and is not `fresh` from the database, the
    execution is named `stale`: learn its head and stage again.
    """
    staged = Staged()
    for index, write in enumerate(writes):
        try:
            if isinstance(write, Create):
                _create(staged, index, write, heads, fresh)
            else:
                _append(staged, index, write, heads, fresh)
        except Conflict as refusal:
            staged.decided[index] = refusal
    return staged


def _create(
    staged: Staged,
    index: int,
    write: Create,
    heads: Mapping[ExecutionId, Head],
    fresh: Collection[ExecutionId],
) -> None:
    if write.id in heads:
        # What was known may have been taken away since: then its id is free again.
        if write.id not in fresh:
            staged.stale.add(write.id)
        staged.decided[index] = False
        return
    try:
        check_records(write.id, write.records, 0)
    except Conflict:
        if write.id not in fresh:
            staged.stale.add(write.id)
        raise
    staged.executions.append((write.place, *map(to_server, columns_of(write.execution)), write.lease))
    _add(staged, write.place, write.facts)


def _append(
    staged: Staged,
    index: int,
    write: Append,
    heads: Mapping[ExecutionId, Head],
    fresh: Collection[ExecutionId],
) -> None:
    head = staged.heads.get(write.id)
    if head is None:
        known = heads.get(write.id)
        if known is None:
            if write.id not in fresh:
                staged.stale.add(write.id)
            staged.decided[index] = unknown(write.id)
            return
        head = staged.heads[write.id] = Head(known.place, known.next)
    try:
        check_records(write.id, write.records, head.next)
    except Conflict:
        if write.id not in fresh:
            staged.stale.add(write.id)
        raise
    if write.records and staged.appended is None:
        staged.appended = (head.place, head.next)
    _add(staged, head.place, write.facts)
    head.next += len(write.records)
    if write.status is not None:
        _restate(staged, head.place, write.status)


def _add(staged: Staged, place: int, facts: Parted) -> None:
    if facts.blobs:
        staged.blobs |= facts.blobs
        staged.uses += [(place, digest) for digest in facts.blobs]
    staged.records += [(place, at, seq, body, link) for seq, at, body, link in facts.rows]


def _restate(staged: Staged, place: int, told: Execution) -> None:
    """Of several in one commit the last counts, but time goes forward only."""
    before = staged.statuses.get(place)
    updated = told.updated if before is None else max(before[2], told.updated)
    staged.statuses[place] = (place, told.status, updated, *end_of(told), written(told.plan))


def _outcome(write: Write, made: Collection[int]) -> bool | None:
    return write.place in made if isinstance(write, Create) else None


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def check_range(row: Execution | None, records: Sequence[Record]) -> None:
    """Refuse times that the database cannot hold with `OverflowError`."""
    times = [record.at for record in records]
    if row is not None:
        times += [row.created, row.updated]
    if any(not -LARGEST <= time <= LARGEST for time in times):
        raise OverflowError("a time beyond 64 bits cannot be kept")
