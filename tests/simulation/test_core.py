"""The core under flows and failures that nobody thought of.

Whatever the flow, the failures and the moment of the crash: it ends, it replays, nothing
recorded runs again, every booking of a failed execution is dropped, and every account is
settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.generated import AGENTS, flows
from typing_extensions import override

from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import Command
from stratarouter_runtime.state.events import Failure, Returned
from stratarouter_runtime.state.leaves import Flight
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.state.run import Frame, Run, Scope
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Reply, Simulated, Simulator

DERIVED = {"Dispatched", "Chosen", "Asked", "Finished"}

LUCK = st.lists(
    st.tuples(st.sampled_from(["works", "works", "works", "fails", "hangs"]), st.integers(1, 9)),
    min_size=1,
    max_size=12,
)


def scripts(luck: list[tuple[str, int]]) -> dict[str, Callable[[Any, int], Reply]]:
    """Agents whose calls work, fail or hang as `luck` says, in turn; undos always work."""
    turn = iter(range(1_000_000))

    def agent(given: Any, _: int) -> Reply:
        what, milliseconds = luck[next(turn) % len(luck)]
        takes = milliseconds * 1_000
        match what:
            case "works":
                return Reply({"n": given["n"]}, takes=takes)
            case "fails":
                return Reply(failure=Failure("agent.unavailable", "down"), takes=takes)
            case _:
                return Reply({"n": given["n"]}, takes=3_600_000_000)

    return dict.fromkeys(AGENTS, agent) | {"drop": lambda given, _: Reply(given)}


class Watched(Simulator):
    """Looks at the state after every decision."""

    _run: Run | None = None

    @override
    def _go_on(self, run: Run, facts: int | None) -> Simulated:
        self._run = run
        return super()._go_on(run, facts)

    @override
    def _carry_out(self, commands: list[Command]) -> None:
        super()._carry_out(commands)
        if self._run is not None:
            check_state(self._run)


def simulator(plan: Plan, luck: list[tuple[str, int]], cancel_at: int | None = None) -> Simulator:
    """Questions that are asked outside of rounds are answered, the others never."""
    answers = {op.path: {"n": 5} for op in plan.ops}
    return Watched(plan, scripts(luck), scores=lambda *_: (0.3, 0.6), answers=answers, cancel_at=cancel_at)


def check_state(run: Run) -> None:
    """Nothing is left to decide, every place is counted, nobody waits for one that is free."""
    if run.finished is not None or run.root is None:
        return
    assert not run.agenda
    assert not run.outgoing
    frames = list(tree(run.root))
    placed = Counter(
        id(scope)
        for frame in frames
        if isinstance(frame.memory, Flight) and frame.memory.placed
        for scope in around(frame)
    )
    for scope in {id(scope): scope for frame in frames for scope in around(frame)}.values():
        assert scope.running == placed[id(scope)]
        assert scope.limits.parallel is None or scope.running <= scope.limits.parallel
        assert all(any(map(full, around(frame))) for frame in scope.waiting if frame.live)
    assert all(run.live[frame.path] is frame for frame in frames if frame.outstanding)
    assert all(frame.live and frame.outstanding >= 0 for frame in run.live.values())


def tree(frame: Frame) -> Iterator[Frame]:
    yield frame
    for child in frame.children.values():
        yield from tree(child)


def around(frame: Frame) -> Iterator[Scope]:
    scope = frame.scope
    while scope is not None:
        yield scope
        scope = scope.outer


def full(scope: Scope) -> bool:
    return scope.limits.parallel is not None and scope.running >= scope.limits.parallel


def check_end(result: Simulated) -> None:
    assert result.finished is not None, "it did not end"
    replayed = replay(result.run.plan, result.records)
    assert replayed.run.finished == result.finished
    assert replayed.owed == ()
    assert not result.run.live
    if result.finished.status != "completed":
        assert sorted(booked(result)) == sorted(dropped(result))


def returned(result: Simulated, agent: str) -> list[Returned]:
    """The answers of one agent, by what its steps are called in the plan."""
    of = {op.path: op.does for op in result.run.plan.ops}
    agents = result.run.plan.agents
    answers = [event for event in result.events if isinstance(event, Returned)]
    return [
        event
        for event in answers
        if agents[getattr(of[event.step.partition("[")[0]], "agent", -1)].name == agent
    ]


def booked(result: Simulated) -> list[int]:
    return [event.output["n"] for event in returned(result, "book")]


def dropped(result: Simulated) -> list[int]:
    return [event.output["n"] for event in returned(result, "drop")]


@given(flows(), LUCK)
def test_every_flow_ends_replays_and_undoes_what_it_must(source: str, luck: list[tuple[str, int]]) -> None:
    check_end(simulator(plan_of(source), luck).run({"n": 1}))


@given(flows(), LUCK)
def test_the_same_luck_gives_the_same_journal(source: str, luck: list[tuple[str, int]]) -> None:
    plan = plan_of(source)
    first, second = (simulator(plan, luck).run({"n": 1}) for _ in range(2))
    assert first.records == second.records


@given(flows(), LUCK, LUCK, st.integers(0, 30))
def test_after_a_crash_at_any_fact_it_goes_on_and_no_recorded_step_runs_again(
    source: str, luck: list[tuple[str, int]], later: list[tuple[str, int]], facts: int
) -> None:
    plan = plan_of(source)
    before = simulator(plan, luck).run({"n": 1}, facts=facts)
    after = simulator(plan, later).resume(before.records)
    check_end(after)
    recorded = {
        (event.step, event.attempt)
        for record in before.records
        if isinstance(event := decode(record.body), Returned)
    }
    again = {(call.step, call.attempt) for call in after.calls}
    undos = {op.path for op in plan.ops if "undo" in op.path}
    assert not {each for each in recorded & again if each[0].partition("[")[0] not in undos}


@given(flows(), LUCK, st.integers(0, 40))
def test_cancelling_at_any_moment_ends_it_and_undoes_everything(
    source: str, luck: list[tuple[str, int]], milliseconds: int
) -> None:
    result = simulator(plan_of(source), luck, milliseconds * 1_000).run({"n": 1})
    check_end(result)


@given(flows(), LUCK)
def test_no_step_answers_twice_in_one_attempt(source: str, luck: list[tuple[str, int]]) -> None:
    result = simulator(plan_of(source), luck).run({"n": 1})
    answers = Counter((event.step, event.attempt) for event in result.events if isinstance(event, Returned))
    undos = {op.path for op in result.run.plan.ops if "undo" in op.path}
    assert all(times == 1 or step.partition("[")[0] in undos for (step, _), times in answers.items())
