"""Ways to be given the wrong answer, each tried on the whole runtime: none may work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.services.test_reuse import AGENT, FLOW, Rig, decoded, gates, reused

from stratarouter_runtime.cache.policy import Wishes
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.ports import AgentCall, AgentReply, Execution, Selection
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.services.reuse import Verdict
from stratarouter_runtime.state.events import Budget, Failure
from stratarouter_runtime.testing.plans import plan_of

LOCAL = Tenant("local")


class Held:
    """An agent that answers when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, call: AgentCall) -> dict[str, str]:
        self.calls += 1
        self.begun.set()
        await self.gate.wait()
        return {"s": f"made {self.calls}"}


async def answer(rig: Rig, value: Any) -> tuple[Execution, Verdict]:
    """To any input."""
    row, verdict = await rig.runtime.answer(StartExecution(rig.plan, value, FlowId("t")))
    await rig.settle()
    return decoded(row), verdict


async def test_a_text_of_one_field_never_stands_for_that_of_another() -> None:
    """Although both leave the same behind, since what is null is left out of the form."""
    source = FLOW.replace("semantic: [q]", "semantic: [q, p]").replace(
        "{q: string, n: int}", "{q: string?, p: string?}"
    )
    rig = Rig(
        source.replace("with: {q: =q, n: =n}", "with: {q: =q, p: =p}"),
        say=lambda call: {"s": str(call.input)},
    )
    first, _ = await answer(rig, {"q": "where is my parcel"})
    second, verdict = await answer(rig, {"p": "Where is my parcel?"})
    assert verdict.outcome == "miss"
    assert first.output != second.output


@pytest.mark.parametrize("scope", ["", "ann"])
async def test_what_carries_a_label_is_its_users_whatever_the_agents_signature_says(scope: str) -> None:
    """It accepts the label, and names none."""
    source = AGENT.replace("effect: pure, cache: POLICY", "effect: pure, cache: shared, accepts: [pii]")
    source = source.replace("in: {q: string, n: int}\nout", "in: {q: string @pii, n: int}\nout")
    source = source.replace("{x: string, y: string}", "{x: string @pii, y: string @pii}")
    rig = Rig(source)
    await rig.ask("hi", wishes=Wishes(scope=scope))
    row, _ = await rig.ask("hi", wishes=Wishes(scope=scope))
    assert await reused(rig, row) == (["exact", "exact"] if scope else [None, None])
    other, _ = await rig.ask("hi", wishes=Wishes(scope="bob"))
    assert (await reused(rig, other))[0] is None


CAUGHT = FLOW.replace(
    "with: {q: =q, n: =n}}", "with: {q: =q, n: =n}, catch: [{on: [agent], do: {let: {s: sorry}}}]}"
)


async def test_a_fall_back_is_for_nobody_later() -> None:
    """Not even in a process that did not drive it; the next answer is kept."""
    said: list[Any] = [Failure("agent.unavailable", "down"), {"s": "real"}]
    rig = Rig(CAUGHT, say=lambda _: said.pop(0))
    assert [(await rig.ask("hi"))[0].output for _ in range(3)] == [
        {"s": "sorry"},
        {"s": "real"},
        {"s": "real"},
    ]
    assert not said


async def test_an_answer_that_came_before_the_forgetting_is_not_kept_after_it() -> None:
    """Whatever was forgotten: by tag, by age, one that was wrong, or all; and by `read: false` too."""
    for tag, read in ((None, True), ("x", True), ("x", False)):
        held = Held()
        rig = Rig(say=held)
        asking = asyncio.ensure_future(
            rig.runtime.answer(rig.request("same"), Wishes(read=read, tags=("x",)))
        )
        await held.begun.wait()
        await rig.reuse.invalidate(LOCAL, "t", tag, None)
        held.gate.set()
        await asking
        await rig.settle()
        assert await rig.store.cache.count(Selection(LOCAL)) == 0
        assert (await rig.ask("same"))[1].outcome == "miss"
        assert (await rig.ask("same"))[1].outcome == "hit"


async def test_an_answer_that_came_before_another_process_forgot_is_not_kept_after_it() -> None:
    """Although this one has not heard of it yet."""
    held = Held()
    rig = Rig(say=held)
    other = rig.again()
    asking = asyncio.ensure_future(rig.runtime.answer(rig.request("same"), Wishes(tags=("x",))))
    await held.begun.wait()
    await other.reuse.invalidate(LOCAL, "t", "x", None)
    held.gate.set()
    await asking
    await rig.settle()
    assert await rig.store.cache.count(Selection(LOCAL)) == 0
    rig.clock.pass_(2)
    assert (await rig.ask("same"))[1].outcome == "miss"


async def test_who_asks_after_the_forgetting_attends_nobody_who_asked_before() -> None:
    """By tag, so that the key is the same."""
    held = Held()
    rig = Rig(say=held)
    before = asyncio.ensure_future(rig.runtime.answer(rig.request("same")))
    await held.begun.wait()
    await rig.reuse.invalidate(LOCAL, "t", "x", None)
    after = asyncio.ensure_future(rig.runtime.answer(rig.request("same")))
    await asyncio.sleep(0.05)
    held.gate.set()
    (one, _), (other, verdict) = await before, await after
    assert one.id != other.id
    assert not verdict.coalesced


@pytest.mark.parametrize(
    ("jump", "outcome"), [(9, "hit"), (9.999999, "hit"), (10, "miss"), (-3_600, "miss"), (-30, "hit")]
)
async def test_the_edges_of_time(jump: float, outcome: str) -> None:
    """The last moment, the first beyond it, and a clock that is set back."""
    rig = Rig()
    rig.reuse.settling.defaults = type(rig.defaults)(ttl=10_000_000)
    await rig.ask("where is my parcel")
    rig.clock.pass_(jump)
    _, verdict = await rig.ask("where is my parcel", wishes=Wishes(keep=False))
    assert verdict.outcome == outcome
    assert gates(verdict) == ([] if outcome == "hit" else ["age"])


async def test_a_clock_that_is_set_back_does_not_hide_what_others_forgot() -> None:
    """For as long as it was set back."""
    rig = Rig()
    other = rig.again()
    await rig.ask("where is my parcel")
    rig.clock.pass_(-30)
    await other.reuse.invalidate(LOCAL, "t", None, None)
    assert (await rig.ask("where is my parcel", wishes=Wishes(keep=False)))[1].outcome == "miss"


async def test_the_limits_of_who_came_first_are_not_those_of_the_others() -> None:
    """An agent that stops where its caller's money ends is asked again for who has more."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> Any:
        await gate.wait()
        poor = call.budget is not None and call.budget.usd is not None
        return Failure("limit.usd", "no money left") if poor else {"s": "rich"}

    rig = Rig(AGENT.replace("POLICY", "shared"), say=say)
    poor = asyncio.ensure_future(rig.runtime.execute(rig.request("hi", budget=Budget(usd=0.5))))
    await asyncio.sleep(0.02)
    rich = asyncio.ensure_future(rig.runtime.execute(rig.request("hi")))
    await asyncio.sleep(0.02)
    gate.set()
    assert (await poor).status == "failed"
    assert (await rich).output == {"x": "rich", "y": "rich"}


ASKING = """
tcfp: "1.0"
flow: t
cache: shared
in: {q: string, n: int}
out: {s: string}
do:
  - {id: r, ask: string, from: boss, show: =q, time: 1h}
return: {s: =r}
"""


def test_what_a_person_has_answered_once_is_no_answer_to_the_next() -> None:
    """A flow that asks is not pure: it cannot be declared for reuse."""
    with pytest.raises(InvalidFlow) as caught:
        plan_of(ASKING)
    assert "only a pure agent may be cached" in str(caught.value.diagnostics)
    assert plan_of(ASKING.replace("cache: shared\n", "")).effect == "idempotent"


async def test_every_execution_with_reuse_replays() -> None:
    """Made, reused, shared and fallen back."""
    rig = Rig(AGENT.replace("POLICY", "semantic, semantic: [q]"))
    rows = [(await rig.ask(q))[0] for q in ("where is it", "Where is it?", "where is it", "where was it")]
    rows += [row for row, _ in await asyncio.gather(*(rig.ask("both at once") for _ in range(5)))]
    for row in rows:
        assert (await rig.runtime.history.replay(row.id)).reproducible


async def test_who_leads_and_is_cancelled_takes_nobody_along() -> None:
    """Two executions share a call; the first is given up, and the call goes on for the second."""
    held = Held()
    rig = Rig(AGENT.replace("POLICY", "shared"), say=held)
    first = await rig.runtime.start(rig.request("hi"))
    await held.begun.wait()
    second = await rig.runtime.start(rig.request("hi"))
    while rig.reuse.flights.stats().waiters < 2:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.001)
    await rig.runtime.controls.cancel(first, "not wanted")
    held.gate.set()
    row = await rig.runtime.wait(second)
    assert (row.output, held.calls) == ({"x": "made 1", "y": "made 1"}, 1)
    assert (await rig.runtime.wait(first)).status == "cancelled"
    assert (await rig.runtime.history.replay(second)).reproducible


async def test_one_follower_of_many_is_cancelled_alone() -> None:
    """The others have the answer of who led."""
    held = Held()
    rig = Rig(AGENT.replace("POLICY", "shared"), say=held)
    started = [await rig.runtime.start(rig.request("hi")) for _ in range(5)]
    while rig.reuse.flights.stats().waiters < 5:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.001)
    await rig.runtime.controls.cancel(started[2], "not wanted")
    held.gate.set()
    rows = [await rig.runtime.wait(each) for each in started]
    assert [row.status for row in rows] == ["completed"] * 2 + ["cancelled"] + ["completed"] * 2
    assert held.calls == 1


async def test_the_time_of_who_leads_is_not_that_of_who_follows() -> None:
    """The first execution runs out of time; the second has its answer from the same call."""
    held = Held()
    rig = Rig(AGENT.replace("POLICY", "shared"), say=held)
    short = await rig.runtime.start(rig.request("hi", timeout=50_000))
    await held.begun.wait()
    long = await rig.runtime.start(rig.request("hi"))
    rig.clock.pass_(1)
    assert (await rig.runtime.wait(short, 10.0)).status == "timed_out"
    held.gate.set()
    assert (await rig.runtime.wait(long)).output == {"x": "made 1", "y": "made 1"}
    assert held.calls == 1


async def test_a_fall_back_in_a_flow_that_is_called_is_for_nobody_later_either() -> None:
    """Neither of the flow that called it, nor of the call."""
    said: list[Any] = [Failure("agent.unavailable", "down"), {"s": "real"}]
    rig = Rig(CAUGHT.replace("cache: semantic\nsemantic: [q]\n", ""), say=lambda _: said.pop(0))
    await rig.runtime.flows.offer(rig.plan)
    outer = FLOW.replace("flow: t", "flow: outer").replace("  a: {", "  t: {").replace("call: a", "call: t")
    rig.plan = rig.runtime.flows.compile(outer.replace("cache: never}", "cache: shared}"))
    outputs = [(await answer(rig, {"q": "hi", "n": 1}))[0].output for _ in range(3)]
    assert outputs == [{"s": "sorry"}, {"s": "real"}, {"s": "real"}]


SHARED = FLOW.replace("cache: never}", "cache: shared}")


async def test_what_rests_on_a_reused_answer_is_as_old_as_that() -> None:
    """For those who want a younger one, and for its own time: two times do not add up."""
    rig = Rig(SHARED)
    rig.reuse.settling.defaults = type(rig.defaults)(ttl=10_000_000)
    await rig.ask("hi", seed="1")
    rig.clock.pass_(6)
    row, verdict = await rig.ask("hi", seed="2")
    assert (verdict.outcome, await reused(rig, row)) == ("miss", ["exact"])
    younger = Wishes(max_age=5_000_000, keep=False)
    assert (await rig.ask("hi", seed="2", wishes=younger))[1].outcome == "miss"
    rig.clock.pass_(3)
    assert (await rig.ask("hi", seed="2"))[1].outcome == "hit"
    rig.clock.pass_(1)
    assert (await rig.ask("hi", seed="2", wishes=Wishes(keep=False)))[1].outcome == "miss"


async def test_what_rests_on_an_answer_that_was_cut_short_is_for_nobody_later() -> None:
    """Though the execution completed, and nothing failed."""
    rig = Rig(say=lambda _: AgentReply({"s": "cut"}, whole=False))
    for _ in range(2):
        row, verdict = await rig.ask("hi")
        assert (row.status, verdict.outcome) == ("completed", "miss")


@pytest.mark.parametrize("heard", [True, False])
async def test_a_flow_that_is_called_tells_what_its_answer_rests_on(
    monkeypatch: pytest.MonkeyPatch, *, heard: bool
) -> None:
    """Though another process has driven it: its fall-back is kept for nobody, and its age goes along."""
    said: list[Any] = [Failure("agent.unavailable", "down"), {"s": "real"}]
    caught = CAUGHT.replace("cache: semantic\nsemantic: [q]\n", "cache: never\n").replace(
        "cache: never}", "cache: shared}"
    )
    rig = Rig(caught, say=lambda _: said.pop(0))
    rig.reuse.settling.defaults = type(rig.defaults)(ttl=10_000_000)
    if not heard:
        monkeypatch.setattr(rig.runtime._ends, "of", lambda _: None)
    await rig.runtime.flows.offer(rig.plan)
    outer = SHARED.replace("flow: t", "flow: outer").replace("  a: {", "  t: {").replace("call: a", "call: t")
    rig.plan = rig.runtime.flows.compile(outer.replace("cache: shared}", "cache: never}"))
    outputs = [(await rig.ask("hi"))[0].output for _ in range(3)]
    assert outputs == [{"s": "sorry"}, {"s": "real"}, {"s": "real"}]
    rig.clock.pass_(6)
    assert (await rig.ask("hi", seed="2"))[1].outcome == "miss"
    rig.clock.pass_(4)
    said.append({"s": "new"})
    assert (await rig.ask("hi", seed="2"))[0].output == {"s": "new"}


async def test_who_has_more_to_spend_does_not_end_with_who_has_less() -> None:
    """A whole flow is begun anew for whoever attended one that came to a limit of its own request."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> Any:
        await gate.wait()
        poor = call.budget is not None and call.budget.usd is not None
        return Failure("limit.usd", "no money left") if poor else {"s": "rich"}

    rig = Rig(say=say)
    poor = asyncio.ensure_future(rig.runtime.answer(rig.request("hi", budget=Budget(usd=0.5))))
    await rig.led()
    rich = asyncio.ensure_future(rig.runtime.answer(rig.request("hi")))
    await asyncio.sleep(0.02)
    gate.set()
    assert (await poor)[0].status == "failed"
    assert (await rich)[0].output == {"s": "rich"}
