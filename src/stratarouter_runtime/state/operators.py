"""The operators: how each starts, and what a child's value or failure means to it.

They look at their own frame and put tasks on the agenda; they never change a phase.
Expressions that fail raise through here, and `decide` turns that into a failure of the
frame. Must never know: modifiers, unwinding, or what the shell does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.state.leaves import start_ask, start_call
from stratarouter_runtime.state.routes import start_route
from stratarouter_runtime.state.run import Fail, Open, Succeed, Win, inner_indices
from stratarouter_runtime.state.scopes import count_step
from stratarouter_runtime.tcfp import plan as ops
from stratarouter_runtime.tcfp.plan import NONE

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Frame, Indices, Run
    from stratarouter_runtime.tcfp.plan import Environment, Value


class Branches(Struct, eq=False):
    """What a fork or a race remembers: results by name, and failures."""

    results: dict[str, Value] = {}
    failures: list[Failure] = []


class Rounds(Struct, eq=False):
    """What a map remembers: its items, the results so far, the next to open, how many are done."""

    items: list[Value]
    results: list[Value]
    opened: int = 0
    done: int = 0


class Turns(Struct, eq=False):
    """What a loop remembers: its state, the number of the round, and that round's slots."""

    state: Value
    env: Environment
    turn: int = 0


def start(run: Run, frame: Frame) -> None:  # noqa: C901 - one case a kind of op
    """Start an attempt of the body of a frame."""
    match frame.op.does:
        case ops.Call() as does:
            start_call(run, frame, does)
        case ops.Route() as does:
            start_route(run, frame, does)
        case ops.Ask() as does:
            start_ask(run, frame, does)
        case ops.Let() as does:
            _let(run, frame, does)
        case ops.Fail() as does:
            _raise(run, frame, does)
        case ops.Enter() as does:
            frame.memory = None
            _next_in_block(run, frame, does.first)
        case ops.Switch() as does:
            _switch(run, frame, does)
        case ops.Fork() | ops.Race() as does:
            _branch(run, frame, does)
        case ops.Map() as does:
            _map(run, frame, does)
        case ops.Loop() as does:
            _loop(run, frame, does)
        case ops.Exit():
            raise AssertionError("an exit is never opened: its block reads it")


def child_succeeded(run: Run, frame: Frame, child: Frame, value: Value) -> None:
    """A child of `frame` came to a value: go on with the next, or succeed."""
    match frame.op.does:
        case ops.Enter():
            frame.memory = value
            _next_in_block(run, frame, child.op.next)
        case ops.Fork() as does:
            results = frame.memory.results
            results[child.role] = value
            if len(results) == len(does.branches):
                run.agenda.append(Succeed(frame, results))
        case ops.Race():
            run.agenda.append(Win(frame, {"by": child.role, "out": value}))
        case ops.Map() as does:
            _round_done(run, frame, does, child, value)
        case ops.Loop() as does:
            _turn_done(run, frame, does, value)
        case _:
            run.agenda.append(Succeed(frame, value))


def child_failed(run: Run, frame: Frame, failure: Failure) -> None:
    """A failure left a child of `frame`: it is the frame's own, save in a race that goes on."""
    if isinstance(frame.op.does, ops.Race):
        failures = frame.memory.failures
        failures.append(failure)
        if len(failures) < len(frame.op.does.branches):
            return
        message = "; ".join(f"{each.step}: {each.message or each.kind}" for each in failures)
        failure = Failure("all_failed", message, None, frame.path)
    run.agenda.append(Fail(frame, failure))


def _let(run: Run, frame: Frame, does: ops.Let) -> None:
    if count_step(run, frame):
        value = does.value.run(frame.env)
        run.agenda.append(Succeed(frame, value if does.check is None else does.check.project(value)))


def _raise(run: Run, frame: Frame, does: ops.Fail) -> None:
    if count_step(run, frame):
        message = "" if does.message is None else does.message.run(frame.env)
        data = None if does.data is None else does.data.run(frame.env)
        if does.kind in run.plan.errors:
            data = run.plan.errors[does.kind].project(data)
        run.agenda.append(Fail(frame, Failure(does.kind, message, data, frame.path)))


def _next_in_block(run: Run, frame: Frame, index: int) -> None:
    """Open the next op of a block; at its end, succeed with the block's value."""
    op = run.plan.ops[index]
    if isinstance(op.does, ops.Exit):
        value = frame.memory if op.does.value is None else op.does.value.run(frame.env)
        run.agenda.append(Succeed(frame, value))
    else:
        _open(run, frame, index, "step")


def _switch(run: Run, frame: Frame, does: ops.Switch) -> None:
    arm = does.arms.get(does.subject.run(frame.env), does.otherwise)
    assert arm != NONE, "the validator has every match exhaustive"
    _open(run, frame, arm, "arm")


def _branch(run: Run, frame: Frame, does: ops.Fork | ops.Race) -> None:
    frame.memory = Branches()
    for name, index in does.branches:
        _open(run, frame, index, name)
    if not does.branches:
        run.agenda.append(Succeed(frame, {}))


def _map(run: Run, frame: Frame, does: ops.Map) -> None:
    items = does.items.run(frame.env)
    if len(items) > does.max:
        message = f"{frame.op.name} has {len(items)} items, at most {does.max} are allowed"
        run.agenda.append(Fail(frame, Failure("limit.items", message, None, frame.path)))
        return
    frame.memory = Rounds(items, [None] * len(items))
    if not items:
        run.agenda.append(Succeed(frame, []))
    for _ in range(min(len(items), does.parallel or len(items))):
        _open_round(run, frame, does)


def _open_round(run: Run, frame: Frame, does: ops.Map) -> None:
    rounds: Rounds = frame.memory
    number = rounds.opened
    rounds.opened += 1
    slots = [rounds.items[number], number, *([None] * (does.size - 2))]
    _open(run, frame, does.body, number, (*frame.env, slots), (*inner_indices(frame), number))


def _round_done(run: Run, frame: Frame, does: ops.Map, child: Frame, value: Value) -> None:
    rounds: Rounds = frame.memory
    assert isinstance(child.role, int)
    rounds.results[child.role] = value
    rounds.done += 1
    if rounds.opened < len(rounds.items):
        _open_round(run, frame, does)
    elif rounds.done == len(rounds.items):
        run.agenda.append(Succeed(frame, rounds.results))


def _loop(run: Run, frame: Frame, does: ops.Loop) -> None:
    state = does.project.project(does.initial.run(frame.env))
    frame.memory = Turns(state, _slots_of_turn(frame, does, state))
    _turn(run, frame, does)


def _turn(run: Run, frame: Frame, does: ops.Loop) -> None:
    turns: Turns = frame.memory
    if turns.turn < does.max and does.test.run(turns.env):
        _open(run, frame, does.body, turns.turn, turns.env, (*inner_indices(frame), turns.turn))
    else:
        run.agenda.append(Succeed(frame, turns.state))


def _turn_done(run: Run, frame: Frame, does: ops.Loop, value: Value) -> None:
    turns: Turns = frame.memory
    result = value if does.result is None else does.result.run(turns.env)
    turns.state = does.project.project(result)
    turns.env = _slots_of_turn(frame, does, turns.state)
    turns.turn += 1
    _turn(run, frame, does)


def _slots_of_turn(frame: Frame, does: ops.Loop, state: Value) -> Environment:
    return (*frame.env, [state, *([None] * (does.size - 1))])


def _open(
    run: Run,
    parent: Frame,
    index: int,
    role: str | int,
    env: Environment | None = None,
    indices: Indices | None = None,
) -> None:
    op = run.plan.ops[index]
    rounds = inner_indices(parent) if indices is None else indices
    run.agenda.append(Open(op, parent, role, env or parent.env, rounds, parent.scope))
