"""What the routes of an execution were asked, from its journal."""

from __future__ import annotations

from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.asking import Routed, routed
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.state.migration import migrate
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import START, Simulator

SOURCE = """
tcfp: "1.0"
flow: test
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure, about: adds one}
  b: {in: {n: int}, out: {n: int}, effect: pure, about: takes one}
in: {n: int}
out: int
do:
  - {id: r, route: ="what of " + string(n), among: [a, b], with: {n: =n}}
  - {id: s, route: ="and of " + string(r.out.n), among: [a, b], with: {n: =r.out.n}}
return: =s.out.n
"""
LATER = SOURCE.replace("out: int\ndo:", "out: int\nlimits: {steps: 600}\ndo:")
ASKED = [Routed(StepPath("0"), "what of 1", "b"), Routed(StepPath("1"), "and of 0", "b")]


def simulator(source: str, *others: str) -> Simulator:
    scripts = {"a": lambda given, _: {"n": given["n"] + 1}, "b": lambda given, _: {"n": given["n"] - 1}}
    known = {plan.digest: plan for plan in map(plan_of, others)}
    return Simulator(plan_of(source), scripts, scores=lambda *_: [0.1, 0.9], others=known)


def test_every_decision_is_told_with_what_was_asked() -> None:
    records = simulator(SOURCE).run({"n": 1}).records
    assert routed(plan_of(SOURCE), records) == ASKED


def test_one_that_went_on_with_another_plan_tells_those_of_before_and_after() -> None:
    plan, there = plan_of(SOURCE), plan_of(LATER)
    begun = simulator(SOURCE).run({"n": 1}, facts=2).records
    moved: list[Record] = [*begun, *migrate(there, plan, begun, {}, START, "ann").records]
    records = simulator(LATER, SOURCE).resume(moved).records
    assert routed(there, records) == ASKED
