"""The operator `route`: rules of the flow first, then whoever the query is compared to be for.

What is decided outside of the flow comes as a fact, and is decided on here. Must never know: how
candidates are compared, modifiers, or what surrounds the op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from stratarouter_runtime.canonical import digest
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.routing.choose import choose
from stratarouter_runtime.state.commands import ScoreRoutes, Write
from stratarouter_runtime.state.events import Chosen, Failure
from stratarouter_runtime.state.leaves import Scoring, emit, prepare
from stratarouter_runtime.state.run import Dispatch, Fail
from stratarouter_runtime.state.scopes import count_step
from stratarouter_runtime.tcfp.expressions import ExpressionFailed
from stratarouter_runtime.tcfp.plan import NONE, Route
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Scored
    from stratarouter_runtime.state.run import Frame, Run
    from stratarouter_runtime.tcfp.plan import Code, LinkedAgent, Value

LEAST: Final = -1.0
"""The `min` of a route that writes none."""

_By: TypeAlias = Literal["meaning", "else", "tenant", "core"]


def start_route(run: Run, frame: Frame, does: Route) -> None:
    """Decide by the first rule that holds; else have the candidates compared with the query."""
    if frame.memory is not None:
        run.outgoing.append(Dispatch(frame))
        return
    if not count_step(run, frame):
        return
    for number, rule in enumerate(does.rules):
        if rule.when.run(frame.env):
            agent = run.plan.agents[rule.agent]
            chosen = Chosen(frame.path, agent.name, "rule", number, attempt=frame.attempt)
            _choose(run, frame, does, chosen, agent)
            return
    query = does.query.run(frame.env)
    frame.memory = Scoring(query, digest(query))
    emit(run, frame, comparing(run, frame, does, frame.memory, frame.attempt))


def comparing(run: Run, frame: Frame, does: Route, asked: Scoring, attempt: int) -> ScoreRoutes:
    """The command that has the candidates of a route compared with its query."""
    return ScoreRoutes(
        frame.path,
        attempt,
        asked.query,
        asked.digest,
        tuple(run.plan.agents[number] for number in does.candidates),
        router=run.plan.router,
        labels=tuple(sorted(does.query.type.labels)),
        input=_seen(does.input, frame),
        given=run.started.routing if _is_first(run, frame) else None,
    )


def _seen(code: Code, frame: Frame) -> Value:
    """What the chosen agent will get, for rules to look at; a value that fails does so when it is needed."""
    try:
        return code.run(frame.env)
    except (ExpressionFailed, Misfit):
        return None


def _is_first(run: Run, frame: Frame) -> bool:
    """Whether this is the first route of the flow as written, outside of rounds: the one a caller can mean."""
    routes = (op for op in run.plan.ops if isinstance(op.does, Route))
    return not frame.indices and frame.op is next(routes)


def scored(run: Run, frame: Frame, event: Scored) -> None:
    """Choose by meaning; below `min` fall to `else`, or fail."""
    frame.outstanding -= 1
    does = frame.op.does
    assert isinstance(does, Route)
    candidates = [run.plan.agents[number] for number in does.candidates]
    by, index = _decided(event, [agent.name for agent in candidates], does)
    if index is not None:
        agent = candidates[index]
    elif does.otherwise != NONE:
        agent = run.plan.agents[does.otherwise]
    else:
        message = _nobody(event, does)
        run.agenda.append(Fail(frame, Failure("no_route", message, None, frame.path)))
        return
    chosen = Chosen(frame.path, agent.name, by, None, event.scores, frame.attempt, event.why)
    _choose(run, frame, does, chosen, agent)


def _decided(event: Scored, names: list[AgentName], does: Route) -> tuple[_By, int | None]:
    """Who is chosen, by number, and by what; None where nobody is good enough.

    A table that accepts nobody still names the nearest where the flow says neither `min` nor `else`:
    there, the nearest has always answered.
    """
    why = event.why
    if why is not None and why.by != "about":
        index = names.index(AgentName(why.agent)) if why.agent in names else None
        if why.by != "table":
            return ("tenant" if why.by == "rule" else "core"), index
        if index is not None:
            return ("meaning", index) if event.scores[index] >= does.min else ("else", None)
        if does.otherwise != NONE or does.min > LEAST:
            return "else", None
    choice = choose(event.scores, names, does.min)
    return ("else", None) if choice is None else ("meaning", choice.index)


def _nobody(event: Scored, does: Route) -> str:
    best = max(event.scores, default=0.0)
    if event.why is not None and event.why.by == "table" and best >= does.min:
        why = event.why
        return f"the routing table accepts none: {why.confidence:g} is below its threshold {why.threshold:g}"
    return f"no candidate reaches {does.min:g}: the best is {best:g}"


def _choose(run: Run, frame: Frame, does: Route, chosen: Chosen, agent: LinkedAgent) -> None:
    run.commands.append(Write(chosen))
    frame.memory = prepare(agent, does.input.run(frame.env))
    run.outgoing.append(Dispatch(frame))
