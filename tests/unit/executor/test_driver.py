"""The driver on a real event loop, over stores in memory that can fail."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import Conflict, InvalidInput, InvalidState, StoreFull
from stratarouter_runtime.executor import calls
from stratarouter_runtime.executor.drive import Drive
from stratarouter_runtime.executor.duties import Duties
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.ports import Execution, Policies, Scorer, Store
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.state.events import Answered, Failure, Returned
from stratarouter_runtime.state.run import Frame, Run
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.testing.agents import Answer, ScriptedAgent, called, scripted
from stratarouter_runtime.testing.plans import declared_agents
from stratarouter_runtime.testing.stores import FailingStore

CHAIN = """
tcfp: "1.0"
flow: chain
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure}
  b: {in: {n: int}, out: {n: int}, effect: effect, on_crash: fail}
in: {n: int}
out: {n: int}
do:
  - {id: x, call: a, with: {n: =n}}
  - {id: y, call: b, with: {n: =x.n}}
  - {id: z, call: a, with: {n: =y.n}}
return: =z
"""

ASKING = """
tcfp: "1.0"
flow: asking
in: {n: int}
out: {ok: bool}
do:
  - {id: q, ask: {ok: bool}, time: 1h}
return: =q
"""


class NoScorer(Scorer):
    @property
    @override
    def identity(self) -> str:
        return "none"

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        raise AssertionError("nothing here routes by meaning")


class Rig:
    """A runtime over a store, with scripted agents."""

    def __init__(
        self, source: str, store: Store, scripts: Mapping[str, Answer], policies: Policies | None = None
    ) -> None:
        self.store = store
        self.agents: list[ScriptedAgent] = scripted(declared_agents(source), scripts)
        self.runtime = Runtime(
            store=store,
            registry=Registry(self.agents),
            scorer=NoScorer(),
            observers=Fanout(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            policies=policies,
        )
        self.driver = self.runtime.driver
        self.plan = self.runtime.flows.compile(source)

    def request(self, n: int = 1, key: str | None = None, timeout: int | None = None) -> StartExecution:
        return StartExecution(self.plan, {"n": n}, FlowId(self.plan.name), key=key, timeout=timeout)


def add(amount: int) -> Answer:
    return lambda call: {"n": call.input["n"] + amount}


@asynccontextmanager
async def rig(
    source: str = CHAIN, store: Store | None = None, policies: Policies | None = None, **scripts: Answer
) -> AsyncIterator[Rig]:
    names = declared_agents(source)
    usual = {name: add(1) for name in names}
    made = Rig(source, store or MemoryStore(), usual | scripts, policies)
    yield made
    await made.driver.drain(0.1)


async def hang(*_: object) -> Any:
    await asyncio.Event().wait()


async def test_an_execution_runs_to_its_end_and_its_row_says_so() -> None:
    async with rig() as it:
        done = await it.runtime.execute(it.request(1))
        assert (done.status, done.output) == ("completed", {"n": 4})
        assert done.records == 6
        assert (await it.runtime.history.replay(done.id)).reproducible
        assert not it.driver.active


async def test_key_and_seed_are_those_of_the_step_whatever_the_attempt() -> None:
    source = CHAIN.replace("call: a, with: {n: =n}", "call: a, with: {n: =n}, retry: {max: 1}")

    def flaky(call: Any) -> Any:
        return Failure("agent.unavailable") if call.attempt == 1 else {"n": 1}

    async with rig(source, a=flaky, b=add(0)) as it:
        await it.runtime.execute(it.request())
        first, second, *_ = it.agents[0].calls
        assert (first.attempt, second.attempt) == (1, 2)
        assert (first.key, first.seed) == (second.key, second.seed)


async def test_the_same_key_means_the_same_execution_and_another_body_is_refused() -> None:
    async with rig() as it:
        first = await it.runtime.execute(it.request(1, key="k"))
        again = await it.runtime.execute(it.request(1, key="k"))
        assert first == again
        assert called(it.agents) == 3
        with pytest.raises(Conflict, match="used for another request"):
            await it.runtime.start(it.request(2, key="k"))


async def test_an_input_that_does_not_fit_starts_nothing() -> None:
    async with rig() as it:
        with pytest.raises(InvalidInput, match="does not fit chain"):
            await it.runtime.start(StartExecution(it.plan, {"n": "one"}, FlowId("chain")))
        assert called(it.agents) == 0


async def test_a_timeout_of_the_caller_ends_the_execution() -> None:
    async with rig(a=hang) as it:
        done = await it.runtime.execute(it.request(timeout=20_000))
        assert (done.status, done.failure and done.failure.kind) == ("timed_out", "limit.time")


async def test_waiting_no_longer_than_the_caller_has_patience() -> None:
    async with rig(a=hang) as it:
        row = await it.runtime.execute(it.request(), patience=0.02)
        assert row.status == "running"


async def test_an_agent_that_returns_the_wrong_type_fails_its_step_and_nothing_of_it_is_journaled() -> None:
    async with rig(a=lambda _: {"n": "much" * 100}) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert done.failure.kind == "agent.invalid_output"
        journaled = await it.runtime.history.journal(done.id)
        assert not any(isinstance(event, Returned) for event in journaled.events)


async def test_an_agent_that_is_missing_or_of_another_version_is_unavailable() -> None:
    store = MemoryStore()
    async with rig(store=store) as it:
        plan = it.plan
    async with rig(ASKING, store=store) as other:
        request = StartExecution(plan, {"n": 1}, FlowId("chain"))
        done = await other.runtime.execute(request)
        assert done.failure is not None
        assert done.failure.kind == "agent.unavailable"
        assert "no agent named 'a'" in done.failure.message


async def test_a_question_waits_survives_its_process_and_takes_one_answer() -> None:
    store = MemoryStore()
    async with rig(ASKING, store=store) as it:
        row = await it.runtime.execute(it.request())
        assert row.status == "waiting"
    async with rig(ASKING, store=store) as it:
        with pytest.raises(InvalidInput, match="the answer does not fit"):
            await it.runtime.controls.answer(row.id, "q", {"ok": "yes"})
        with pytest.raises(InvalidState, match="no single step 'w' waits"):
            await it.runtime.controls.answer(row.id, "w", {"ok": True})
        await it.runtime.controls.answer(row.id, "q", {"ok": True}, "me")
        done = await it.runtime.wait(row.id)
        assert (done.status, done.output) == ("completed", {"ok": True})
        with pytest.raises(InvalidState, match="has finished"):
            await it.runtime.controls.answer(row.id, "q", {"ok": False})


async def test_cancel_ends_an_execution_durably() -> None:
    async with rig(a=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0)
        await it.runtime.controls.cancel(execution, "no longer needed")
        done = await it.runtime.wait(execution)
        assert done.status == "cancelled"
        assert done.failure is not None
        assert done.failure.message == "no longer needed"


async def test_draining_lets_calls_answer_begins_nothing_and_recovery_goes_on() -> None:
    store = MemoryStore()
    reached, go = asyncio.Event(), asyncio.Event()

    async def slow(call: Any) -> Any:
        reached.set()
        await go.wait()
        return {"n": call.input["n"] + 1}

    async with rig(store=store, a=slow) as it:
        execution = await it.runtime.start(it.request())
        await reached.wait()
        draining = asyncio.create_task(it.driver.drain(5.0))
        await asyncio.sleep(0)
        go.set()
        await draining
        with pytest.raises(InvalidState, match="shutting down"):
            await it.runtime.start(it.request())
        row = await it.runtime.history.find(execution)
        assert row.status == "running"
    async with rig(store=store) as it:
        recovery = await it.runtime.recover()
        assert recovery.resumed == (execution,)
        done = await it.runtime.wait(execution)
        assert (done.status, done.output) == ("completed", {"n": 4})


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("write", range(4))
async def test_a_store_that_fails_at_any_write_loses_nothing_and_runs_no_recorded_step_again(
    write: int,
    late: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    store = FailingStore(write, StoreFull("no room"), late=late)
    async with rig(store=store) as it:
        with pytest.raises(StoreFull, match="no room"):
            await it.runtime.execute(it.request(1, key="k"))
        kept = len(await store.read(ExecutionId(it.runtime._id(it.request(1, key="k")))))
        before = called(it.agents)
    store.mend()
    async with rig(store=store) as it:
        await it.runtime.recover()
        done = await it.runtime.execute(it.request(1, key="k"))
        assert done.status in {"completed", "failed"}
        if done.status == "failed":  # the guarded call was under way: whether it took effect is not known
            assert done.failure is not None
            assert "whether it took effect is not known" in done.failure.message
            assert before in {1, 2}
        else:
            assert done.output == {"n": 4}
            assert before + called(it.agents) <= 4
        assert done.records >= kept
        assert (await it.runtime.history.replay(done.id)).reproducible


async def test_a_call_with_side_effects_that_was_under_way_is_not_made_again() -> None:
    store = MemoryStore()
    async with rig(store=store, b=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.02)
        assert len(it.agents[1].calls) == 1
    async with rig(store=store) as it:
        await it.runtime.recover()
        done = await it.runtime.wait(execution)
        assert len(it.agents[1].calls) == 0
        assert done.failure is not None
        assert "whether it took effect is not known" in done.failure.message


async def test_a_person_says_whether_a_call_that_was_under_way_happened() -> None:
    source, store = CHAIN.replace(", on_crash: fail", ""), MemoryStore()
    async with rig(source, store=store, b=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.02)
    async with rig(source, store=store) as it:
        await it.runtime.recover()
        assert (await it.runtime.wait(execution)).status == "waiting"
        with pytest.raises(InvalidInput, match="happened"):
            await it.driver.answer(execution, "y", {"n": 5}, "ann")
        await it.driver.answer(execution, "y", {"happened": True, "output": {"n": 5}}, "ann")
        with pytest.raises(InvalidState):
            await it.driver.answer(execution, "y", {"happened": False}, "bob")
        assert (await it.runtime.wait(execution)).output == {"n": 6}
        assert len(it.agents[1].calls) == 0
        assert (await it.runtime.history.replay(execution)).reproducible


async def test_a_pure_call_that_was_under_way_is_made_again_with_the_same_key() -> None:
    store = MemoryStore()
    async with rig(store=store, a=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.02)
        (before,) = it.agents[0].calls
    async with rig(store=store) as it:
        await it.runtime.recover()
        done = await it.runtime.wait(execution)
        assert done.output == {"n": 4}
        assert it.agents[0].calls[0].key == before.key


async def test_an_execution_that_cannot_be_taken_up_holds_up_no_other() -> None:
    store = MemoryStore()
    async with rig(store=store, a=hang) as it:
        bad = await it.runtime.start(it.request(1))
        good = await it.runtime.start(it.request(2))
    store._records[bad].clear()
    async with rig(store=store) as it:
        recovery = await it.runtime.recover()
        assert recovery.resumed == (good,)
        assert [(execution, error.code) for execution, error in recovery.left] == [(bad, "journal-mismatch")]
        assert (await it.runtime.wait(good)).output == {"n": 5}


INNER = """
tcfp: "1.0"
flow: inner
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do: [{id: x, call: a, with: {n: =n}}]
return: {n: =x.n * 10}
"""

OUTER = """
tcfp: "1.0"
flow: outer
agents: {inner: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do: [{id: y, call: inner, with: {n: =n}, time: 5s}]
return: =y
"""


async def nested(store: Store, answer: Answer) -> Rig:
    """A runtime in which the flow `outer` calls the flow `inner`, which calls the agent `a`."""
    made = Rig(INNER, store, {"a": answer})
    await made.runtime.flows.offer(made.plan)
    made.plan = made.runtime.flows.compile(OUTER)
    return made


async def child_of(it: Rig, parent: ExecutionId) -> Execution:
    (child,) = [row for row in await it.store.search() if row.id != parent]
    return child


async def test_a_flow_calls_a_flow_as_an_execution_of_its_own() -> None:
    it = await nested(MemoryStore(), add(1))
    done = await it.runtime.execute(it.request(1))
    assert (done.status, done.output) == ("completed", {"n": 20})
    child = await child_of(it, done.id)
    assert (child.flow, child.status, child.output) == ("inner", "completed", {"n": 20})
    assert (await it.runtime.history.replay(child.id)).reproducible


async def test_a_call_of_a_flow_that_is_withdrawn_cancels_its_execution() -> None:
    it = await nested(MemoryStore(), hang)
    parent = await it.runtime.start(it.request(1))
    await asyncio.sleep(0.02)
    await it.runtime.controls.cancel(parent, "enough")
    await it.driver.ended((await child_of(it, parent)).id)
    child = await child_of(it, parent)
    assert child.status == "cancelled"
    assert child.failure is not None
    assert parent in child.failure.message


async def test_a_flow_called_by_a_flow_goes_on_after_a_restart_and_keeps_what_it_did() -> None:
    store = MemoryStore()
    it = await nested(store, hang)
    parent = await it.runtime.start(it.request(1))
    await asyncio.sleep(0.02)
    before = await child_of(it, parent)
    await it.driver.drain(0.05)
    assert (await it.runtime.history.find(parent)).status == "running"
    it = await nested(store, add(1))
    await it.runtime.recover()
    done = await it.runtime.wait(parent)
    assert done.output == {"n": 20}
    assert (await child_of(it, parent)).id == before.id


async def test_draining_does_not_wait_for_the_question_of_a_flow_that_is_called() -> None:
    made = Rig(ASKING, MemoryStore(), {})
    await made.runtime.flows.offer(made.plan)
    source = (
        OUTER.replace("inner", "asking").replace("out: {n: int}", "out: {ok: bool}").replace(", time: 5s", "")
    ).replace("effect: pure", "effect: idempotent")
    made.plan = made.runtime.flows.compile(source)
    parent = await made.runtime.start(made.request(1))
    await asyncio.sleep(0.02)
    async with asyncio.timeout(1.0):
        await made.driver.drain(30.0)
    assert (await made.runtime.history.find(parent)).status == "running"
    assert (await child_of(made, parent)).status == "waiting"


ROUTED = """
tcfp: "1.0"
flow: routed
agents: {a: {in: {n: int}, out: {n: int}, effect: pure, about: numbers}}
in: {n: int}
out: {n: int}
do: [{id: r, route: hello, among: [a], with: {n: =n}, retry: {max: 1}}]
return: =r.out
"""


async def test_a_router_that_raises_fails_the_step_and_hangs_nothing() -> None:
    async with rig(ROUTED) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert done.failure.kind == "agent.unavailable"
        assert "the router broke: AssertionError: nothing here routes" in done.failure.message
        assert (await it.runtime.history.replay(done.id)).reproducible


async def test_an_agent_that_raises_against_its_contract_fails_its_step() -> None:
    def broken(_: object) -> Any:
        raise ZeroDivisionError("oops")

    async with rig(a=broken) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert "agent 'a' broke: ZeroDivisionError: oops" in done.failure.message


async def test_an_agent_that_cancels_itself_fails_its_step_and_hangs_nothing() -> None:
    def broken(_: object) -> Any:
        raise asyncio.CancelledError("no more")

    async with rig(a=broken) as it, asyncio.timeout(5):
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert done.failure.message == "agent 'a' broke: CancelledError: no more"
        assert (await it.runtime.history.replay(done.id)).reproducible


async def test_a_router_that_cancels_itself_fails_the_step_and_hangs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> Any:
        raise asyncio.CancelledError

    monkeypatch.setattr(NoScorer, "score", broken)
    async with rig(ROUTED) as it, asyncio.timeout(5):
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert "the router broke: CancelledError" in done.failure.message


async def test_an_execution_taken_up_by_several_at_once_is_driven_once() -> None:
    store = MemoryStore()
    async with rig(store=store, a=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.01)
    async with rig(store=store) as it:
        await asyncio.gather(*(it.runtime.recover() for _ in range(5)))
        done = await it.runtime.wait(execution)
        assert done.output == {"n": 4}
        assert called(it.agents) == 3


class StuckStore(MemoryStore):
    """Appends come to no end."""

    @override
    async def append(self, *_: object) -> None:
        await asyncio.Event().wait()


async def test_whoever_brought_a_fact_is_told_also_where_the_process_stops_while_it_is_written() -> None:
    async with rig(ASKING, StuckStore()) as it:
        row = await it.runtime.execute(it.request())
        answering = asyncio.create_task(it.runtime.controls.answer(row.id, "q", {"ok": True}))
        watching = asyncio.create_task(it.runtime.wait(row.id))
        await asyncio.sleep(0.01)
        await it.driver.drain(0.01)
        with pytest.raises(InvalidState, match="not known"):
            await asyncio.wait_for(answering, 1.0)
        assert (await asyncio.wait_for(watching, 1.0)).status == "waiting"


async def test_waiting_again_and_again_leaves_nothing_behind() -> None:
    async with rig(a=hang) as it:
        execution = await it.runtime.start(it.request())
        for _ in range(5):
            await it.runtime.wait(execution, patience=0.001)
        drive, _ = it.driver._drives[execution]
        assert not drive._watchers


async def test_what_an_answer_holds_beyond_its_type_is_not_journaled() -> None:
    async with rig(ASKING) as it:
        row = await it.runtime.execute(it.request())
        await it.runtime.controls.answer(row.id, "q", {"ok": True, "more": object()})
        done = await it.runtime.wait(row.id)
        assert done.output == {"ok": True}
        (answer,) = [
            event
            for event in (await it.runtime.history.journal(row.id)).events
            if isinstance(event, Answered)
        ]
        assert answer.value == {"ok": True}


async def test_the_cost_of_a_call_that_was_under_way_counts_as_spent() -> None:
    source = CHAIN.replace("effect: effect", "effect: effect, cost: {usd: 0.5, tokens: 7}")
    store = MemoryStore()
    async with rig(source, store=store, b=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.02)
    async with rig(source, store=store) as it:
        await it.runtime.recover()
        done = await it.runtime.wait(execution)
        assert done.usage is not None
        assert (done.usage.usd, done.usage.tokens_in) == (0.5, 7)


async def test_a_call_that_is_made_again_has_its_whole_time_again() -> None:
    source = CHAIN.replace(
        "a: {in: {n: int}, out: {n: int}, effect: pure",
        "a: {in: {n: int}, out: {n: int}, effect: pure, time: 100ms",
    )
    store = MemoryStore()
    async with rig(source, store=store, a=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.01)
        await it.driver.drain(0.01)
    await asyncio.sleep(0.12)

    async def slow(call: Any) -> Any:
        await asyncio.sleep(0.01)
        return {"n": call.input["n"] + 1}

    async with rig(source, store=store, a=slow) as it:
        now = SystemClock().now()
        await it.runtime.recover()
        done = await it.runtime.wait(execution)
        assert done.output == {"n": 4}
        deadline = it.agents[0].calls[0].deadline
        assert deadline is not None
        assert deadline >= now + 100_000


async def test_a_retry_of_a_call_of_a_flow_begins_another_execution() -> None:
    answers = iter([Failure("agent.unavailable"), {"n": 2}])
    it = await nested(MemoryStore(), lambda _: next(answers))
    it.plan = it.runtime.flows.compile(OUTER.replace("time: 5s", "time: 5s, retry: {max: 1}"))
    done = await it.runtime.execute(it.request(1))
    assert (done.status, done.output) == ("completed", {"n": 20})
    children = [row.status for row in await it.store.search() if row.id != done.id]
    assert sorted(children) == ["completed", "failed"]


async def test_a_mistake_of_the_runtime_in_a_call_stops_the_execution_and_is_told() -> None:
    async with rig() as it:

        async def flawed(*_: object) -> Any:
            raise AssertionError("a flaw")

        it.runtime.driver._shell.agents.get = lambda _: None  # type: ignore[method-assign]
        it.runtime.flow_agent = flawed  # type: ignore[method-assign, assignment]
        with pytest.raises(AssertionError, match="a flaw"):
            await asyncio.wait_for(it.runtime.execute(it.request()), 1.0)


async def test_a_request_sent_again_sets_to_work_what_stood_still_since_the_store_failed() -> None:
    store = FailingStore(1, StoreFull("no room"))
    async with rig(store=store) as it:
        with pytest.raises(StoreFull):
            await it.runtime.execute(it.request(1, key="k"))
        store.mend()
        done = await it.runtime.execute(it.request(1, key="k"))
        assert (done.status, done.output) == ("completed", {"n": 4})


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {"n": object()},
        {"n": 1, "more": object()},
        {"n": 1, "more": "\ud800"},
    ],
)
async def test_an_input_that_is_no_json_is_refused_as_such(value: Any) -> None:
    async with rig() as it:
        with pytest.raises(InvalidInput):
            await it.runtime.start(StartExecution(it.plan, value, FlowId("chain")))


async def test_a_defect_of_the_runtime_stops_an_execution_instead_of_hanging_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def defective(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(calls, "idempotency_key", defective)
    monkeypatch.setattr(calls, "_broken", defective)
    store = MemoryStore()
    async with rig(store=store) as it:
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await it.runtime.execute(it.request(1, key="k"))
    monkeypatch.undo()
    async with rig(store=store) as it:
        await it.runtime.recover()
        assert (await it.runtime.execute(it.request(1, key="k"))).output == {"n": 4}


@pytest.mark.parametrize("answer", [{"n": 1}, Failure("agent.refused")])
async def test_nothing_of_an_execution_that_has_ended_waits_for_the_collector_of_cycles(answer: Any) -> None:
    async with rig(b=lambda _: answer) as it:
        await it.runtime.execute(it.request())  # what is made once, and kept
        gc.collect()
        gc.disable()
        try:
            await it.runtime.execute(it.request())
            await asyncio.sleep(0)
            left = [each for each in gc.get_objects() if isinstance(each, Run | Frame | Drive | Duties)]
        finally:
            gc.enable()
        assert not left


async def test_the_failure_of_an_agent_names_the_step_that_called_it() -> None:
    async with rig(b=lambda _: Failure("agent.refused", "no", step="of its own")) as it:
        done = await it.runtime.execute(it.request())
        assert done.failure is not None
        assert (done.failure.kind, done.failure.step) == ("agent.refused", "1")
