"""Samples are taken evenly, a few at a time, and hold up nobody who stops."""

from __future__ import annotations

import asyncio

from tests.unit.services.test_reuse import AGENT, Rig

from stratarouter_runtime.cache.policy import NO_WISHES, Defaults
from stratarouter_runtime.cache.recall import Found, Looked
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.services.samples import Samples


async def found(rig: Rig, tenant: Tenant = LOCAL) -> Looked:
    """A hit of every one of which a sample is wanted."""
    question = await rig.reuse.of_request(rig.request("hi", tenant=tenant), NO_WISHES)
    assert not isinstance(question, str)
    looked = await rig.reuse.cache.look(rig.reuse.cache.ask(question))
    assert isinstance(looked.found, Found)
    return looked


async def test_a_sample_that_hangs_is_given_up() -> None:
    """When its time is over, and when the process stops; it says nothing about the answer."""
    rig = Rig(defaults=Defaults(shadow=1.0))
    await rig.ask("hi")

    async def never() -> bytes | None:
        await asyncio.Event().wait()
        return b""

    short, long = Samples(rig.reuse.cache, seconds=0.0), Samples(rig.reuse.cache)
    short.take(await found(rig), never)
    await short.settle()
    long.take(await found(rig), never)
    await long.close()
    assert rig.reuse.cache.ledger.counts()[0].compared == 0


async def test_only_so_many_are_under_way() -> None:
    """The turns of others pass."""
    rig = Rig(defaults=Defaults(shadow=1.0))
    await rig.ask("hi")
    samples, gate, begun = Samples(rig.reuse.cache, at_once=2), asyncio.Event(), []

    async def late() -> bytes | None:
        begun.append(1)
        await gate.wait()
        return b"another"

    for _ in range(5):
        samples.take(await found(rig), late)
    await asyncio.sleep(0)
    gate.set()
    await samples.settle()
    counts = rig.reuse.cache.ledger.counts()[0]
    assert (len(begun), counts.compared, counts.differing) == (2, 2, 2)


async def test_the_hits_of_one_tenant_move_no_sample_of_another() -> None:
    """The second hit of each is its turn."""
    rig = Rig(defaults=Defaults(shadow=0.5))
    ann, bob = Tenant("ann"), Tenant("bob")
    for tenant in (ann, bob, ann, bob):
        await rig.ask("hi", tenant=tenant)
    assert [each.compared for each in rig.reuse.cache.ledger.counts()] == [0]
    for tenant in (ann, bob):
        await rig.ask("hi", tenant=tenant)
        assert rig.reuse.cache.ledger.counts(tenant)[0].compared == 1


async def test_nothing_within_a_sample_is_taken_over_or_kept() -> None:
    """Of a call that is a flow, whose agent is reused by itself."""
    said = iter("abcdef")
    rig = Rig(AGENT.replace("POLICY", "shared"), say=lambda _: {"s": next(said)})
    await rig.runtime.flows.offer(rig.plan)
    outer = AGENT.replace("flow: t", "flow: outer").replace("  a: {", "  t: {").replace("call: a", "call: t")
    outer = outer.replace("out: {s: string}", "out: {x: string, y: string}").replace("POLICY", "shared")
    rig.plan = rig.runtime.flows.compile(outer.replace("=x.s", "=x.x").replace("=y.s", "=y.y"))
    rig.reuse.settling.defaults = Defaults(shadow=1.0)
    await rig.ask("hi")
    row, _ = await rig.ask("hi")
    assert row.output == {"x": "a", "y": "a"}
    (counts,) = [each for each in rig.reuse.cache.ledger.counts() if each.space == "agent:t"]
    assert (counts.compared, counts.differing) == (2, 2)
