from __future__ import annotations

from stratarouter_runtime.ids import LOCAL, Digest, StepPath
from stratarouter_runtime.state.commands import CallAgent, SetTimer
from stratarouter_runtime.state.decide import begin, decide
from stratarouter_runtime.state.events import Returned, Started, TimerFired
from stratarouter_runtime.state.outstanding import Outstanding
from stratarouter_runtime.testing.plans import plan_of

SOURCE = """
tcfp: "1.0"
flow: test
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: int
do:
  - {id: x, call: a, with: {n: =n}, time: 1s}
return: =x.n
"""


def returned(step: StepPath) -> Returned:
    return Returned(step, Digest(""), {"n": 2}, 1)


def test_nothing_is_left_of_a_step_that_owes_nothing() -> None:
    plan = plan_of(SOURCE)
    commands = decide(begin(plan, Started("exec_test", plan.digest, {"n": 1}, "00" * 16, LOCAL), 0))
    [call] = [command for command in commands if isinstance(command, CallAgent)]
    [timer] = [command for command in commands if isinstance(command, SetTimer)]
    owed = Outstanding()
    for command in commands:
        owed.note(command)
    owed.settle(returned(call.step))
    assert owed.commands() == [timer]
    owed.settle(TimerFired(timer.step, "attempt", 1))
    assert owed.commands() == []
    assert not owed._by_step


def test_what_is_not_owed_cannot_be_settled() -> None:
    owed = Outstanding()
    owed.settle(returned(StepPath("0")))
    assert not owed._by_step
