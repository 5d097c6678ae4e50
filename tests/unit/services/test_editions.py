"""What decides besides plans is part of every key: rules, Core, and what the agents of a tenant may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.clocks import Hand
from tests.unit.services.test_reuse import AGENT, FLOW, Rig

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.cache.book import TermsBook
from stratarouter_runtime.cache.terms import Terms
from stratarouter_runtime.ids import LOCAL, FlowId
from stratarouter_runtime.ports import Shelf
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.routing.rules import Rule
from stratarouter_runtime.services.routers import Routers
from stratarouter_runtime.settings import load
from stratarouter_runtime.state.events import Given
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.tenancy.policies import Policy
from stratarouter_runtime.testing.agents import scripted
from stratarouter_runtime.testing.plans import declared_agents
from stratarouter_runtime.wiring import application

WHOLE = FLOW.replace("cache: semantic\nsemantic: [q]\n", "cache: shared\n")
OUTER = AGENT.replace("flow: t", "flow: outer").replace("  a: {", "  t: {").replace("call: a", "call: t")
OUTER = OUTER.replace("cache: POLICY", "cache: shared")


class Late:
    """A shelf that tells what it held when it was asked, but only once the gate opens."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.put = shelf.put
        self.gate: asyncio.Event | None = None

    async def get(self, *place: Any) -> Any:
        """As the shelf."""
        return await self._late(await self._shelf.get(*place))

    async def all(self, *place: Any) -> Any:
        """As the shelf."""
        return await self._late(await self._shelf.all(*place))

    async def _late(self, found: Any) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        return found


@pytest.mark.parametrize("source", [None, OUTER])
async def test_what_a_forbidden_agent_has_said_is_given_to_nobody(source: str | None) -> None:
    """Neither as the answer of its flow, nor as that of a call of its flow; and found again once it is allowed."""
    agents = scripted(declared_agents(WHOLE), {"a": lambda call: {"s": "said"}})
    async with application(load(), Registry(agents), store=":memory:") as app:
        plan = app.runtime.flows.compile(WHOLE)
        await app.runtime.flows.offer(plan)
        plan = plan if source is None else app.runtime.flows.compile(source)

        async def ask() -> tuple[str, int]:
            row, _ = await app.runtime.answer(StartExecution(plan, {"q": "hi", "n": 1}, FlowId(plan.name)))
            return row.status, len(agents[0].calls)

        assert await ask() == await ask() == ("completed", 1)
        await app.tenancy.policies.set(LOCAL, Policy(kinds=("http",)), by="op")
        assert await ask() == ("failed", 1)
        await app.tenancy.policies.clear(LOCAL, by="op")
        assert await ask() == ("completed", 1)


async def test_of_a_decision_that_came_along_only_the_route_counts() -> None:
    """Not how sure it was, nor how long it took."""
    rig = Rig(WHOLE)
    await rig.ask("hi", routing=Given("a", 0.9, {"a": 0.9}, 1.5))
    assert (await rig.ask("hi", routing=Given("a", 0.8, {}, 2.5)))[1].outcome == "hit"
    assert (await rig.ask("hi", routing=Given("b", 0.9, {"a": 0.9}, 1.5)))[1].outcome == "miss"
    assert (await rig.ask("hi"))[1].outcome == "miss"


async def test_what_was_read_before_a_change_does_not_hold_after_it() -> None:
    """Though the reading ends after the writing: of rules, and of terms."""
    shelf, clock = Late(MemoryStore().shelf), Hand()
    routers = Routers(shelf, None, None, clock)  # type: ignore[arg-type]  # nothing is compared
    book = TermsBook(shelf, clock)  # type: ignore[arg-type]  # it has what is asked of it
    await routers.put_rules(LOCAL, [Rule("one", "a", prefix="x")])
    await book.put(LOCAL, "flow:t", Terms(threshold=0.8))
    clock.pass_(5)
    shelf.gate = asyncio.Event()
    reading = [asyncio.ensure_future(routers.rules(LOCAL)), asyncio.ensure_future(book.of(LOCAL, "flow:t"))]
    await asyncio.sleep(0)
    gate, shelf.gate = shelf.gate, None
    await routers.put_rules(LOCAL, [Rule("two", "a", prefix="y")])
    await book.put(LOCAL, "flow:t", Terms(threshold=0.9))
    gate.set()
    await asyncio.gather(*reading)
    assert len((await routers.rules(LOCAL)).written) == 2
    assert (await book.of(LOCAL, "flow:t")).threshold == 0.9
