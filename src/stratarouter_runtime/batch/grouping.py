"""Calls of one agent that come close together, made as one.

Each keeps its own deadline, and whoever leaves takes along nothing but his own input. Tenants never
share a call. When a group is closed is decided in `window`. Must never know: what an agent does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime import ports
from stratarouter_runtime.batch.window import closes, due
from stratarouter_runtime.ports import AgentReply
from stratarouter_runtime.state.events import Failure

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.ports import AgentCall, Clock, Grouped

_Place: TypeAlias = "tuple[Tenant, Grouped]"


class GroupingStats(Struct, frozen=True):
    """Groups made since the process began, the calls in them, and the calls that wait for others now."""

    groups: int
    calls: int
    waiting: int


@dataclass(slots=True, eq=False)
class _Member:
    call: AgentCall
    due: int
    reply: asyncio.Future[AgentReply]


@dataclass(slots=True, eq=False)
class _Group:
    members: list[_Member] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class Groups(ports.Groups):
    """Belongs to one event loop. An agent that is another object is another agent."""

    def __init__(self, clock: Clock) -> None:
        """`clock` is that of deadlines; how long calls wait is measured by the loop, which never steps back."""
        self._clock = clock
        self._open: dict[_Place, _Group] = {}
        self._groups = 0
        self._calls = 0

    def stats(self) -> GroupingStats:
        """How well it works."""
        waiting = sum(len(group.members) for group in self._open.values())
        return GroupingStats(self._groups, self._calls, waiting)

    @override
    async def call(self, agent: Grouped, call: AgentCall) -> AgentReply:
        place = (call.tenant, agent)
        left = None if call.deadline is None else call.deadline - self._clock.now()
        member = _Member(call, due(agent.batch, _now(), left), asyncio.get_running_loop().create_future())
        group = self._open.setdefault(place, _Group())
        group.members.append(member)
        self._look(place, group)
        try:
            async with asyncio.timeout(None if left is None else max(0, left) / 1e6):
                return await member.reply
        except TimeoutError:
            return AgentReply(failure=Failure("timeout", f"{agent.name} did not answer in time"))
        finally:
            self._leave(place, group, member)

    def _look(self, place: _Place, group: _Group) -> None:
        """Close the group, or look again when that is due."""
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        left = closes(place[1].batch, [member.due for member in group.members], _now())
        if left is None:
            del self._open[place]
        elif left:
            group.timer = asyncio.get_running_loop().call_later(left / 1e6, self._look, place, group)
        else:
            del self._open[place]
            group.task = asyncio.get_running_loop().create_task(self._make(place[1], group), name="group")

    def _leave(self, place: _Place, group: _Group, member: _Member) -> None:
        """Who leaves before the call is made takes his input along; after the last it is given up."""
        member.reply.cancel()
        if self._open.get(place) is group:
            group.members.remove(member)
            self._look(place, group)
        elif group.task is not None and all(each.reply.done() for each in group.members):
            group.task.cancel()

    async def _make(self, agent: Grouped, group: _Group) -> None:
        members = group.members
        self._groups += 1
        self._calls += len(members)
        try:
            replies = await agent.call_together([member.call for member in members])
            for member, reply in zip(members, replies, strict=True):
                if not member.reply.done():
                    member.reply.set_result(reply)
        except Exception as error:  # noqa: BLE001 - an agent that breaks its promise: told to each caller
            for member in members:
                if not member.reply.done():
                    member.reply.set_exception(error)
        finally:
            # Interrupted from outside: nobody must be left waiting.
            for member in members:
                member.reply.cancel()


def _now() -> int:
    return int(asyncio.get_running_loop().time() * 1e6)
