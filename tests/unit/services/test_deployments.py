"""What flows of a tenant may call, as several processes deploy and retire it."""

from __future__ import annotations

import pytest
from tests.unit.executor.test_driver import NoScorer

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import InvalidFlow, LinkError, NotFound
from stratarouter_runtime.executor.plans import Plans
from stratarouter_runtime.ids import LOCAL, FlowId, Tenant
from stratarouter_runtime.services import deployments
from stratarouter_runtime.services.deployments import Deployments
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.testing.agents import scripted
from stratarouter_runtime.testing.plans import declared_agents

INNER = """
tcfp: "1.0"
flow: inner
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do: [{id: x, call: a, with: {n: =n}}]
return: =x
"""
LATER = INNER.replace("with: {n: =n}", "with: {n: =n + 1}")
OUTER = """
tcfp: "1.0"
flow: outer
agents: {inner: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do: [{id: y, call: inner, with: {n: =n}}]
return: =y
"""
FLOW = FlowId("inner")


def process(store: MemoryStore) -> Deployments:
    """The flows of one of the processes that share a store."""
    agents = Registry(scripted(declared_agents(INNER), {"a": lambda call: call.input}))
    return Deployments(store, Plans(store), agents, NoScorer(), SystemClock())


def links(flows: Deployments, tenant: Tenant = LOCAL) -> bool:
    """Whether a flow that calls `inner` can be compiled."""
    try:
        flows.compile(OUTER, tenant=tenant)
    except (LinkError, InvalidFlow):
        return False
    return True


async def test_what_another_process_deploys_can_be_called_here_until_it_retires_it() -> None:
    store = MemoryStore()
    here, there = process(store), process(store)
    await there.deploy(LOCAL, FLOW, INNER)
    assert not links(here)
    await here.offer_deployed()
    assert links(here)
    await there.retire(LOCAL, FLOW)
    await here.offer_deployed()
    assert not links(here)
    assert here.names(LOCAL) == ["a"]


async def test_what_was_deployed_here_and_retired_by_another_process_can_be_called_no_more() -> None:
    store = MemoryStore()
    here, there = process(store), process(store)
    await here.deploy(LOCAL, FLOW, INNER)
    assert links(here)
    await there.retire(LOCAL, FLOW)
    await here.offer_deployed()
    assert not links(here)


async def test_the_version_that_another_process_deployed_is_the_one_that_is_called() -> None:
    store = MemoryStore()
    here, there = process(store), process(store)
    await here.deploy(LOCAL, FLOW, INNER)
    first = here.compile(OUTER)
    _, plan = await there.deploy(LOCAL, FLOW, LATER)
    await here.offer_deployed()
    second = here.compile(OUTER)
    assert first.digest != second.digest
    assert [agent.digest for agent in second.agents] == [plan.digest]


async def test_what_is_given_stays_without_being_deployed_and_yields_to_what_is() -> None:
    store = MemoryStore()
    here = process(store)
    await here.offer(here.compile(INNER))
    await here.offer_deployed()
    assert links(here)
    _, plan = await process(store).deploy(LOCAL, FLOW, LATER)
    await here.offer_deployed()
    assert [agent.digest for agent in here.compile(OUTER).agents] == [plan.digest]
    await here.retire(LOCAL, FLOW)
    assert not links(here)


async def test_tenants_call_nothing_of_each_other() -> None:
    here = process(MemoryStore())
    await here.deploy(Tenant("ann"), FLOW, INNER)
    await here.offer_deployed(Tenant("bob"))
    assert links(here, Tenant("ann"))
    assert not links(here, Tenant("bob"))


async def test_retiring_what_is_not_deployed_is_refused() -> None:
    with pytest.raises(NotFound, match="inner"):
        await process(MemoryStore()).retire(LOCAL, FLOW)


async def test_only_so_many_tenants_are_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "TENANTS", 2)
    here = process(MemoryStore())
    for name in ("ann", "bob", "cat"):
        await here.deploy(Tenant(name), FLOW, INNER)
    assert list(here._shares) == ["bob", "cat"]
    await here.offer_deployed(Tenant("ann"))
    assert links(here, Tenant("ann"))
