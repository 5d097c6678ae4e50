"""The whole flow: what it declares, its body, what it returns, what escapes, what it costs.

Must never know how a step is checked.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.allowed import ANYTHING
from stratarouter_runtime.tcfp.diagnostics import Diagnostics, did_you_mean
from stratarouter_runtime.tcfp.expressions import Scope
from stratarouter_runtime.tcfp.plan import NONE
from stratarouter_runtime.tcfp.registry import Registry
from stratarouter_runtime.tcfp.types import STRING, TIME, RecordType, Type, record, show
from stratarouter_runtime.tcfp.validation import agents, bounds, kinds, policy
from stratarouter_runtime.tcfp.validation.aliases import Aliases
from stratarouter_runtime.tcfp.validation.blocks import check_do
from stratarouter_runtime.tcfp.validation.context import Checking, Frame, Place
from stratarouter_runtime.tcfp.validation.fits import Receiver, misfits, report
from stratarouter_runtime.tcfp.validation.outcome import Outcome
from stratarouter_runtime.tcfp.validation.steps import check_step
from stratarouter_runtime.tcfp.validation.tree import Checked, Do, Step, origin

RUN = record({"id": STRING, "seed": STRING, "started": TIME})
"""What a flow may know of its own run."""


def check_flow(flow: ir.Flow, registry: Registry | None) -> Checked:
    """The flow with every diagnostic; never stops at the first, never raises."""
    diagnostics = Diagnostics()
    aliases = Aliases(flow.types, diagnostics, flow.places)
    check = Checking(flow, registry, aliases, diagnostics, check_step)
    aliases.resolve_all()
    _declare_errors(check)
    agents.declare(check)
    input_ = record({name: check.resolve(of, check.at(flow.at, "in", name)) for name, of in flow.input})
    output = check.resolve(flow.output, check.at(flow.at, "out"))
    place = _outermost(check, input_)
    outcome = check_do(check, flow.body, place)
    body = _body(flow, outcome)
    _check_return(check, outcome, place, output)
    _check_raises(check, body)
    _check_whole(check, outcome)
    own = ir.Signature(input_, output, outcome.facts.effect, cache=flow.cache, semantic=flow.semantic)
    agents.check_signature(check, own, flow.at)
    return Checked(
        flow=flow,
        registry=registry,
        diagnostics=diagnostics.sorted(),
        body=body,
        input=input_,
        output=output,
        agents={name: check.agents[name] for name in sorted(check.used & check.agents.keys())},
        errors=check.errors,
        escaping=outcome.facts.raises | policy.raised_by_limits(flow.limits),
        effect=outcome.facts.effect,
        worst=bounds.capped(outcome.facts.worst, flow.limits),
        size=place.frame.size,
        routes=check.routes,
    )


def _declare_errors(check: Checking) -> None:
    flow = check.flow
    for kind, data in flow.errors:
        at = check.at(flow.at, "errors", kind)
        if kinds.reserved(kind):
            check.add(
                "E319",
                at,
                f"'{kind}' is a built-in kind of error, or of a built-in family",
                "choose another name",
            )
        check.errors[kind] = check.resolve(data, at)
    for index, kind in enumerate(flow.raises):
        if kind not in check.errors and not kinds.reserved(kind):
            hint = did_you_mean(kind, check.errors) or "declare it under errors:"
            check.add("E320", check.at(flow.at, "raises", index), f"unknown error kind '{kind}'", hint)


def _outermost(check: Checking, input_: RecordType) -> Place:
    """The place of the body: slot 0 is `run`, then the inputs by name."""
    frame = Frame(0)
    scope = Scope().bind("run", RUN, 0, frame.slot())
    for name, of in input_.fields:
        if name == "run":
            at = check.at(check.flow.at, "in", name)
            check.add(
                "E302",
                at,
                "'run' is bound already",
                "run is the record {id, seed, started}: choose another name",
            )
        scope = scope.bind(name, of, 0, frame.slot())
    return Place("", scope, frame, ANYTHING.within(check.flow.limits))


def _body(flow: ir.Flow, outcome: Outcome) -> Step:
    return Step(
        source=ir.Step(flow.body, at=flow.body.at),
        name=flow.name,
        path="",
        does=outcome.does,
        type=outcome.type,
        depth=0,
        slot=NONE,
        facts=outcome.facts,
    )


def _check_return(check: Checking, outcome: Outcome, place: Place, output: Type) -> None:
    result = check.flow.body.result
    if result is not None and isinstance(outcome.does, Do):
        place = place.seeing(outcome.does.scope)
        report(check, misfits(check, result, place, outcome.type, output, Receiver("return")))
        return
    misfit = relations.explain(outcome.type, output)
    if misfit:
        at = check.flow.body.steps[-1].at if check.flow.body.steps else check.flow.at
        code = "E310" if relations.label_problem(outcome.type, output) is None else "E340"
        check.add(code, at, f"out: {misfit}", f"write return: a value of type {show(output)}")


def _check_raises(check: Checking, body: Step) -> None:
    """W322: own kinds that may escape without the flow saying so."""
    for kind in sorted(kinds.own(body.facts.raises) - check.strange - set(check.flow.raises)):
        at = origin(body, kind).source.at
        hint = (
            "add it to raises:, or catch it"
            if kind in check.errors
            else "declare it under errors: and raises:, or catch it"
        )
        check.add("W322", at, f"'{kind}' may leave the flow, and is not listed in raises", hint)


def _check_whole(check: Checking, outcome: Outcome) -> None:
    limits = check.flow.limits
    worst = outcome.facts.worst
    body_at = check.flow.body.at
    at = body_at if body_at.pointer else check.at(check.flow.at, "do")
    if limits is None:
        policy.check_steps(check, at, None, worst)
    else:
        policy.check_limits(check, limits, worst)
    policy.check_time(check, limits, at, worst.time)
