"""Everything around a simulated process: agents that fail, hang and lie, clocks that jump, entropy, scores.

The world notes every call it gets, since what happened out there cannot be taken back.
Must never know: journals, or what the engine does about anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, Final

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.ids import AgentName, ExecutionId
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Clock, Entropy, Scorer
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.testing.flows import ROUTER, agents
from stratarouter_runtime.testing.loop import SimulatedLoop
from stratarouter_runtime.testing.quotes import QUOTE, mark

EPOCH: Final = 1_800_000_000_000_000
"""When every simulation begins: microseconds since the epoch."""

HANGS: Final = 90 * 24 * 3600.0
"""Seconds that an agent takes which hangs."""


class Luck(Struct):
    """How agents do: chances from 0 to 1; `slow` is the longest call that works, in seconds.

    `dies` is how often a call of `quote` is cancelled by nobody who waits for it.
    """

    fails: float = 0.0
    hangs: float = 0.0
    lies: float = 0.0
    stubborn: float = 0.0
    slow: float = 0.02
    dies: float = 0.0


class Called(Struct):
    """One call, as the agent saw it.

    `durable` is how many records of its execution were durable at that moment, `at`; `answered` is
    when the agent did. Both in microseconds of the loop. `withdrawn` says that it was told to stop.
    """

    agent: AgentName
    process: int
    call: AgentCall
    durable: int
    at: int
    answered: int | None = None
    withdrawn: bool = False


class World:
    """What all processes share: the agents' memory, and the sequence of chances.

    `durable` says how many records of an execution are.
    """

    def __init__(
        self, loop: SimulatedLoop, chance: Random, luck: Luck, durable: Callable[[ExecutionId], int]
    ) -> None:
        self.loop = loop
        self.chance = chance
        self.luck = luck
        self.durable = durable
        self.calls: list[Called] = []
        self.dropped: Counter[str] = Counter()

    def calm(self) -> None:
        """No more faults."""
        self.luck = Luck()


class SimulatedAgent(Agent):
    """Answers `n` with `n + 1`, as well as luck lets it.

    `book` and `drop` keep a book of references, `quote` has prices of its own for each tenant.
    """

    def __init__(self, like: LinkableAgent, world: World, process: int) -> None:
        self.name, self.signature, self.digest = like.name, like.signature, like.digest
        self._world = world
        self._process = process

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        world, draw = self._world, self._world.chance.random
        noted = Called(self.name, self._process, call, world.durable(call.execution), world.loop.elapsed)
        world.calls.append(noted)
        reply, seconds = self._reply(call, draw())
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            noted.withdrawn = True
            if draw() >= world.luck.stubborn:
                raise
        if self.name == QUOTE and draw() < world.luck.dies:
            noted.withdrawn = True
            raise asyncio.CancelledError
        noted.answered = world.loop.elapsed
        if self.name == "drop":
            world.dropped[call.input["ref"]] += 1
        return reply

    def _reply(self, call: AgentCall, drawn: float) -> tuple[AgentReply, float]:
        luck, draw = self._world.luck, self._world.chance.random
        seconds = draw() * luck.slow
        usage = Usage(self.signature.cost.usd * draw(), int(self.signature.cost.tokens * draw()))
        if self.name == "drop":
            return AgentReply({"done": True}), seconds
        if drawn < luck.fails:
            return AgentReply(failure=Failure("agent.unavailable", "down"), usage=usage), seconds
        if drawn < luck.fails + luck.lies:
            return AgentReply({"n": "much"}, usage=usage), seconds
        if drawn < luck.fails + luck.lies + luck.hangs:
            seconds = HANGS
        return AgentReply(self._answer(call), usage=usage), seconds

    def _answer(self, call: AgentCall) -> dict[str, Any]:
        if self.name == "book":
            return {"ref": call.key[:16]}
        return {"n": call.input["n"] + 1 + (mark(call.tenant) if self.name == QUOTE else 0)}


def simulated_agents(world: World, process: int) -> Registry:
    """The agents of the flows in `flows`, as process number `process` has them."""
    return Registry(SimulatedAgent(like, world, process) for like in agents().values())


class SimulatedScorer(Scorer):
    """Finds something else every time it is asked: what was recorded must count."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    @override
    def identity(self) -> str:
        return ROUTER

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        draw = self._world.chance.random
        await asyncio.sleep(draw() * self._world.luck.slow)
        return tuple(round(draw(), 6) for _ in texts)


class SimulatedClock(Clock):
    """The time of the loop, as a machine sees it whose clock is `off` by so many microseconds."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.off = 0

    @override
    def now(self) -> int:
        return EPOCH + self._loop.elapsed + self.off


class SimulatedEntropy(Entropy):
    """Seeded: the same ids for the same story."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    @override
    def execution_id(self) -> ExecutionId:
        return ExecutionId(f"exec_{self._chance.getrandbits(128):032x}")

    @override
    def seed(self) -> str:
        return f"{self._chance.getrandbits(128):032x}"
