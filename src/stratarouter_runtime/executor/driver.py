"""All executions at work in this process: started, resumed, told, cancelled, drained.

Must never know: how anything is decided; where plans, agents or journals come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, KeysView, Sequence
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.errors import Conflict, InvalidState, LeaseLost, StoreError
from stratarouter_runtime.executor.drive import Drive
from stratarouter_runtime.executor.preparing import afresh, answered, listed
from stratarouter_runtime.executor.presence import Hold, Presence
from stratarouter_runtime.ids import ExecutionId, FlowId, StepPath
from stratarouter_runtime.ports import Execution, Status
from stratarouter_runtime.state.commands import CallAgent
from stratarouter_runtime.state.course import Course, Told
from stratarouter_runtime.state.events import CancelRequested, Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from stratarouter_runtime.executor.calls import Shell
    from stratarouter_runtime.executor.snapshots import Snapshotter
    from stratarouter_runtime.ports import Journal, Observer
    from stratarouter_runtime.sharing import Lease, Leases
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Event, Record, Started
    from stratarouter_runtime.state.fork import Forked
    from stratarouter_runtime.state.replay import Replayed
    from stratarouter_runtime.tcfp.plan import Plan


Create: TypeAlias = "Callable[[Execution, Sequence[Record], Lease], Awaitable[bool]]"
"""`Journal.create`, or what stands before it."""


class DriverStats(Struct, frozen=True):
    """Executions at work here, those that stand still because their store failed, and leases lost."""

    active: int
    stopped: int
    leases_lost: int


class Driver:
    """Drives executions: one task each, all facts through one journal, under the lease of this process."""

    def __init__(
        self,
        shell: Shell,
        journal: Journal,
        leases: Leases,
        observer: Observer,
        snapshotter: Snapshotter,
        create: Create | None = None,
    ) -> None:
        """Executions begin by `create`, where something stands between them and the journal's own."""
        self._shell = shell
        self._journal = journal
        self._create_in_journal = create or journal.create
        self._observer = observer
        self.snapshotter = snapshotter
        self._drives: dict[ExecutionId, tuple[Drive, asyncio.Task[None]]] = {}
        self._beginning: set[asyncio.Task[None]] = set()
        self._locks: WeakValueDictionary[ExecutionId, asyncio.Lock] = WeakValueDictionary()
        self._stopped: dict[ExecutionId, None] = {}  # as a set that keeps its order
        self._draining = False
        self.presence = Presence(leases, self._forsake)

    def stats(self) -> DriverStats:
        """How many are at work."""
        return DriverStats(len(self._drives), len(self._stopped), self.presence.losses)

    @property
    def active(self) -> KeysView[ExecutionId]:
        """The executions at work here, as they come and go."""
        return self._drives.keys()

    def drives(self, execution: ExecutionId) -> bool:
        """Whether this one is at work here."""
        return execution in self._drives

    @property
    def stopped(self) -> list[ExecutionId]:
        """Executions that this process should drive, and does not: their store failed."""
        return list(self._stopped)

    @property
    def draining(self) -> bool:
        """Whether this process begins nothing new."""
        return self._draining

    async def hold(self) -> Hold:
        """The lease that new work is done under. Raises `InvalidState` while draining, `StoreError`."""
        if self._draining:
            raise InvalidState("this process is shutting down", hint="start it again, or elsewhere")
        return await self.presence.hold()

    def stopped_here(self, executions: Iterable[ExecutionId]) -> None:
        """Remember to take these up."""
        self._stopped.update(dict.fromkeys(executions))

    def forget(self, execution: ExecutionId) -> None:
        """Take this one up no more."""
        self._stopped.pop(execution, None)

    async def start(self, plan: Plan, flow: FlowId, started: Started, *, ahead: bool = False) -> None:
        """Make the start of an execution durable, and set it to work.

        `ahead`: nothing but a failing store would refuse it, so that calls which may be made for nothing
        need not wait. A caller who gives up does not stop what may be durable already. Raises
        `InvalidInput` where the input does not fit, `Conflict` where the id is taken, `InvalidState`
        while draining, `StoreError`.
        """
        hold, at = await self.hold(), self._shell.clock.now()
        course, first = Course.begin(plan, started, at)
        drive = self._drive_of(course, listed(plan, flow, started, at), hold)
        await self._begin(drive, first, ahead=ahead)

    async def adopt(self, flow: FlowId, forked: Forked) -> None:
        """Make a fork durable, with the facts it took over, and set it to work. Raises as `start`."""
        hold, run, first = await self.hold(), forked.course.run, forked.first
        row = listed(run.plan, flow, run.started, first.records[0].at)
        await self._begin(self._drive_of(forked.course, row, hold), first)

    async def _begin(self, drive: Drive, first: Told, *, ahead: bool = False) -> None:
        """Have a task begin it that drives it from there; returns once it has begun."""
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(self._begin_and_drive(drive, first, begun, ahead=ahead))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        await begun

    async def _begin_and_drive(
        self, drive: Drive, first: Told, begun: asyncio.Future[None], *, ahead: bool
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with self.alone(drive.row.id):
                commands = await drive.begin(first, self._create, ahead=ahead and not self._draining)
                going = self._register(drive, task)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for whoever waits
            if not begun.done():
                begun.set_exception(error)
            return
        except BaseException:
            begun.cancel()
            raise
        if not begun.done():
            begun.set_result(None)
        if drive.run.finished is not None:
            await asyncio.sleep(0)  # whoever began it finds it here, and need not ask the store
        if going:
            await self._drive(drive, commands)

    async def _create(self, row: Execution, records: Sequence[Record], hold: Hold) -> None:
        try:
            created = await self._create_in_journal(row, records, hold.number)
        except LeaseLost:
            self.presence.lose(hold)
            raise
        except StoreError:
            # Its answer may have got lost: what has begun must not stand still.
            self._stopped[row.id] = None
            raise
        if not created:
            raise Conflict(f"execution {row.id} exists already")

    def _drive_of(self, course: Course, row: Execution, hold: Hold) -> Drive:
        return Drive(course, row, hold, self._shell, self._journal, self._observer, self.snapshotter)

    def recorded(self, row: Execution, records: Sequence[Record], events: Sequence[Event]) -> None:
        """Tell observers of facts that became durable while nothing was at work, or of another status."""
        self._observer.recorded(row, records, events)

    def relisted(self, row: Execution, status: Status) -> Execution:
        """The row of an execution that gets another status now, without any fact."""
        return replace(row, status=status, updated=max(row.updated, self._shell.clock.now()))

    def alone(self, execution: ExecutionId) -> asyncio.Lock:
        """Held by whoever brings an execution to work, so that it is not driven twice."""
        return self._locks.setdefault(execution, asyncio.Lock())

    def resume(self, replayed: Replayed, row: Execution, hold: Hold) -> None:
        """Take an execution up where its journal ends, and set it to work.

        The caller is `alone` with it since before it read the journal, and took it before.
        """
        course = Course(replayed.run, replayed.ledger)
        drive, owed = self._drive_of(course, row, hold), []
        for command in replayed.owed:
            if isinstance(command, CallAgent) and self._unknown(command):
                drive.report(Interrupted(command.step, command.attempt))
            else:
                owed.append(afresh(replayed.run, command, self._shell.clock.now()))
        course.owe(owed)
        self._set_to_work(drive, owed)

    def _unknown(self, command: CallAgent) -> bool:
        """Whether a call under way may have had its effect. One of a flow finds what it began."""
        return command.guarded and self._shell.agents.get(command.agent.name) is not None

    def _set_to_work(self, drive: Drive, commands: Sequence[Command]) -> None:
        task = asyncio.get_running_loop().create_task(self._drive(drive, commands))
        if not self._register(drive, task):
            task.cancel()

    def _register(self, drive: Drive, task: asyncio.Task[None]) -> bool:
        """Note that a task drives this from here on; False where it must not."""
        if self._draining:
            # It was made durable while the drain began: it stops at once, and recovery finds it.
            drive.drain()
        if drive.hold.lost:
            # Likewise while its lease was lost: another process has it, or will.
            self._stopped[drive.row.id] = None
            return False
        self._drives[drive.row.id] = drive, task
        # A failure is told to those who wait; where nobody does, recovery meets it again.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return True

    async def _drive(self, drive: Drive, commands: Sequence[Command]) -> None:
        try:
            await drive.drive(commands)
        except LeaseLost:
            self._stopped[drive.row.id] = None
            self.presence.lose(drive.hold)
            raise
        except (StoreError, Conflict):
            self._stopped[drive.row.id] = None
            raise
        finally:
            self._remove(drive)

    def _forsake(self, hold: Hold) -> None:
        """A lease was lost: drop what is driven under it, telling nobody that it has ended."""
        for execution, (drive, task) in list(self._drives.items()):
            if drive.hold is hold and task is not asyncio.current_task():
                self._stopped[execution] = None
                # Here and now: a task that is cancelled before its first line runs none of it.
                task.cancel()
                drive.forsake()
                self._remove(drive)

    def _remove(self, drive: Drive) -> None:
        found = self._drives.get(drive.row.id)
        if found is not None and found[0] is drive:
            del self._drives[drive.row.id]

    def at_rest(self, execution: ExecutionId) -> Execution | None:
        """An execution at work here that has ended, or waits for an answer from outside."""
        found = self._drives.get(execution)
        return None if found is None else found[0].at_rest

    async def settled(self, execution: ExecutionId) -> Execution | None:
        """An execution at work here, once it has ended or waits for an answer from outside.

        None where it is not at work here, or stopped before that. Raises `StoreError` where it cannot go on.
        """
        found = self._drives.get(execution)
        return None if found is None else await found[0].settled()

    async def ended(self, execution: ExecutionId) -> None:
        """Returns once an execution is no longer at work here. Raises `LeaseLost`, `StoreError` as `settled`."""
        found = self._drives.get(execution)
        if found is not None:
            await asyncio.wait([found[1]])
            if found[1].cancelled() and found[0].hold.lost:
                raise LeaseLost
            found[1].result()

    async def pause(self, execution: ExecutionId) -> None:
        """Let calls under way answer, and stop; returns once that is durable, and it stays so.

        Its time runs on: what became due meanwhile happens when it is resumed. Raises
        `InvalidState` where it is not at work here, or came to its end first.
        """
        async with self.alone(execution):
            drive = self._at_work(execution)
            drive.drain()
            await self.ended(execution)
            if drive.run.finished is not None:
                raise InvalidState(f"execution {execution} has finished: {drive.row.status}")
            paused = self.relisted(drive.row, "paused")
            await self._journal.append(execution, [], paused, drive.hold.number)
            self.recorded(paused, [], [])

    async def cancel(self, execution: ExecutionId, reason: str, by: str) -> None:
        """Have an execution end; returns once that is durable."""
        await self._at_work(execution).tell(CancelRequested(reason, by))

    async def answer(self, execution: ExecutionId, step: str, value: Any, by: str) -> StepPath:
        """Answer the question of a step, named by its path or its name; the path.

        Raises `InvalidState` where the step has not asked, `InvalidInput` for a wrong type.
        """
        drive = self._at_work(execution)
        answer = answered(drive.run, step, value, by)
        await drive.tell(answer)
        return answer.step

    async def drain(self, patience: float) -> None:
        """Begin nothing new, let calls under way answer for `patience` seconds, then stop.

        What has not ended by then is free for other processes at once.
        """
        self._draining = True
        await self._drain(patience)
        await self.presence.leave()

    async def _drain(self, patience: float) -> None:
        for drive, _ in self._drives.values():
            drive.drain()
        until = asyncio.get_running_loop().time() + patience
        # What was about to be set to work meanwhile may have calls that have to be made.
        while tasks := [task for _, task in self._drives.values()]:
            await asyncio.wait(tasks, timeout=max(0.0, until - asyncio.get_running_loop().time()))
            late = [task for task in tasks if not task.done()]  # in their order: what is waited for is a set
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _at_work(self, execution: ExecutionId) -> Drive:
        found = self._drives.get(execution)
        if found is None:
            raise InvalidState(
                f"execution {execution} is not at work here", hint=f"see its state: strata show {execution}"
            )
        return found[0]
