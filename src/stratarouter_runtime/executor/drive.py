"""The loop of one execution: decide, record, act, record.

A drive is the only writer of its journal. It takes the facts that have come, decides on
all of them, makes them durable together with what follows from them, and only then acts.
Must never know: how anything is decided, kept or called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from stratarouter_runtime.errors import InvalidState, LeaseLost, StrataError
from stratarouter_runtime.executor.calls import repeatable
from stratarouter_runtime.executor.duties import Duties
from stratarouter_runtime.ports import ENDED, Execution, Status
from stratarouter_runtime.state.commands import CallAgent, ScoreRoutes
from stratarouter_runtime.state.course import Told

if TYPE_CHECKING:
    from stratarouter_runtime.executor.calls import Shell
    from stratarouter_runtime.executor.presence import Hold
    from stratarouter_runtime.executor.snapshots import Snapshotter
    from stratarouter_runtime.ports import Journal, Observer
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.course import Course
    from stratarouter_runtime.state.events import Event, Finished, Record
    from stratarouter_runtime.state.ledger import Ledger
    from stratarouter_runtime.state.run import Run

Fact: TypeAlias = "tuple[Event, asyncio.Future[None] | None]"
"""A fact, and who waits for it to become durable."""

CreateUnder: TypeAlias = "Callable[[Execution, Sequence[Record], Hold], Awaitable[None]]"
"""Makes the first facts of an execution durable. Raises `Conflict` where its id is taken."""


class Drive:
    """One execution at work, from its first fact or from where a replay left it."""

    def __init__(
        self,
        course: Course,
        row: Execution,
        hold: Hold,
        shell: Shell,
        journal: Journal,
        observer: Observer,
        snapshotter: Snapshotter,
    ) -> None:
        self._course = course
        self._run = course.run
        self.row = row
        self.hold = hold
        self._journal = journal
        self._observer = observer
        self._shell = shell
        self._snapshots = snapshotter.follow(row, course.run, course.ledger, course.owed)
        self._duties = Duties(shell, course.run.started, self.report, hold.confirm)
        self._facts: list[Fact] = []
        self._news = False
        self._sleeping: asyncio.Future[None] | None = None
        self._watchers: dict[asyncio.Future[None], None] = {}  # as a set that keeps its order
        self._draining = False
        self._stopped: Exception | None = None

    @property
    def run(self) -> Run:
        """The state, for reading."""
        return self._run

    def report(self, event: Event | Exception | None) -> None:
        """A fact has come, which counts once it is journaled; or a call was given up without any.

        An error stops the execution: the store failed a flow that was called, or the runtime itself
        has a defect.
        """
        if isinstance(event, Exception):
            self._stopped = event
        elif event is not None:
            self._facts.append((event, None))
        self._wake()

    async def tell(self, event: Event) -> None:
        """Bring a fact from outside; returns once it is durable.

        Raises `InvalidState` where the execution does not expect it.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._facts.append((event, durable))
        self._wake()
        await durable

    @property
    def at_rest(self) -> Execution | None:
        """The execution as the store lists it, where it has ended or only an answer can move it on."""
        row = self.row
        return row if row.status in ENDED or (row.status == "waiting" and self._parked) else None

    async def settled(self) -> Execution | None:
        """The execution once it has ended, or only an answer from outside can move it on.

        None where it stopped before that, or is moving on already. Raises what stopped it.
        """
        if self.at_rest is None:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers[watcher] = None
            try:
                await watcher
            finally:
                del self._watchers[watcher]
        return self.at_rest

    def forsake(self) -> None:
        """Its lease was lost: tell all who wait that it is no longer driven here."""
        self._duties.drop()
        self._settle(LeaseLost())
        facts, self._facts = self._facts, []
        _tell(facts, LeaseLost())

    def drain(self) -> None:
        """Begin nothing new; stop once the calls under way have answered."""
        self._draining = True
        self._wake()

    async def begin(self, first: Told, create: CreateUnder, *, ahead: bool) -> Sequence[Command]:
        """Make the first facts durable; what is to be carried out now.

        `ahead`, calls that may be made for nothing need not wait for that: what has answered at once
        is made durable together with the start. Raises what `create` raises: then nothing has begun.
        """
        try:
            if ahead:
                first.commands = await self._call_ahead(first.commands)
                self._take_all(first)
            row = restate(self.row, self._run, self._course.ledger)
            await create(row, first.records, self.hold)
        except BaseException:
            self._duties.drop()
            raise
        self.row = row
        self._observer.recorded(row, first.records, first.events)
        return first.commands

    async def _call_ahead(self, commands: Sequence[Command]) -> list[Command]:
        """Make those calls that may be made for nothing, and let them begin; the other commands."""
        others: list[Command] = []
        for command in commands:
            if isinstance(command, CallAgent) and repeatable(self._shell, command):
                self._duties.carry_out(command)
            else:
                others.append(command)
        if self._duties.calling:
            await asyncio.sleep(0)
        return others

    async def drive(self, owed: Sequence[Command]) -> Finished | None:
        """Carry out what is owed, and go on until the end; None where it was drained before.

        Raises `StoreError` where facts cannot be made durable: the execution then stands
        where its journal ends, and can be recovered.
        """
        try:
            await self._act(owed)
            while self._run.finished is None and not self._drained:
                if self._parked:
                    self._settle(None)
                await self._woken()
                await self._step()
                if self._stopped is not None:
                    raise self._stopped  # noqa: TRY301 - as if the step itself had raised it
        except BaseException as error:
            self._settle(error)
            raise
        finally:
            self._duties.drop()
            _tell(self._facts, InvalidState("the execution is no longer at work here"))
        self._settle(None)
        return self._run.finished

    @property
    def _parked(self) -> bool:
        return self._run.waiting and not self._facts

    def _settle(self, error: BaseException | None) -> None:
        if error is not None and self.hold.lost:
            error = LeaseLost()
        for watcher in self._watchers:
            if watcher.done():
                continue
            # One that is interrupted has stopped: those who watch it are not interrupted with it.
            if isinstance(error, Exception):
                watcher.set_exception(error)
            else:
                watcher.set_result(None)

    @property
    def _drained(self) -> bool:
        return self._draining and not self._duties.calling and not self._facts

    def _wake(self) -> None:
        self._news = True
        if self._sleeping is not None and not self._sleeping.done():
            self._sleeping.set_result(None)

    async def _woken(self) -> None:
        """Returns once there was news since it last did. A future is all that one who waits alone needs."""
        if not self._news:
            self._sleeping = asyncio.get_running_loop().create_future()
            await self._sleeping
            self._sleeping = None
        self._news = False

    async def _step(self) -> None:
        """Decide on all facts that have come, make durable what was expected of them, act."""
        told, facts = Told(), self._facts
        try:
            self._take_all(told)
            if told.records:
                row = restate(self.row, self._run, self._course.ledger)
                relisted = None if row.status == self.row.status else row
                await self._journal.append(row.id, told.records, relisted, self.hold.number)
                self._recorded(row, told)
        except StrataError as error:
            _tell(facts, error)
            raise
        except BaseException:
            _tell(
                facts, InvalidState("the execution was interrupted: whether this was recorded is not known")
            )
            raise
        _tell(facts, None)
        await self._act(told.commands)

    def _take_all(self, told: Told) -> None:
        """Take in those facts that have come and are expected, each with what follows from it."""
        facts, self._facts = self._facts, []
        for event, durable in facts:
            reason = self._course.take(event, self._shell.clock.now(), told)
            if reason is not None and durable is not None and not durable.done():
                durable.set_exception(InvalidState(reason))

    def _recorded(self, row: Execution, told: Told) -> None:
        self.row = row
        self._observer.recorded(row, told.records, told.events)
        self._snapshots.durable()

    async def _act(self, commands: Sequence[Command]) -> None:
        """Begin what is to be done, unless somebody else may be about to do it as well."""
        if commands and not self.hold.certain:
            await self.hold.confirm()
        for command in commands:
            if not (self._draining and _waits(command)):
                self._duties.carry_out(command)


def _waits(command: Command) -> bool:
    """Whether recovery may carry this out as well. A guarded call is journaled as made: it must be."""
    return isinstance(command, ScoreRoutes) or (isinstance(command, CallAgent) and not command.guarded)


def _tell(facts: Sequence[Fact], error: StrataError | None) -> None:
    """Tell those who brought facts that these are durable, or why not."""
    for _, durable in facts:
        if durable is None or durable.done():
            continue
        if error is None:
            durable.set_result(None)
        else:
            durable.set_exception(error)


def restate(row: Execution, run: Run, ledger: Ledger) -> Execution:
    """The row of an execution once all facts so far are durable; its `updated` never goes back."""
    finished, records, updated = run.finished, ledger.seq, max(row.updated, ledger.at)
    if finished is not None:
        end = {"output": finished.output, "failure": finished.failure, "usage": finished.usage}
        return replace(row, status=finished.status, updated=updated, records=records, **end)
    status: Status = "waiting" if run.waiting else "running"
    return replace(row, status=status, updated=updated, records=records)
