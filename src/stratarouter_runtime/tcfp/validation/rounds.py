"""The operators that repeat: each and loop. Each round opens one depth of slots.

Must never know modifiers.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.expressions import narrowing
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import (
    INT,
    STRING,
    UNKNOWN,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnknownType,
    labelled,
    show,
)
from stratarouter_runtime.tcfp.validation import bounds, kinds, lasting, tree
from stratarouter_runtime.tcfp.validation.context import Checking, Frame, Place
from stratarouter_runtime.tcfp.validation.fits import Receiver, compiled, condition, misfits, report
from stratarouter_runtime.tcfp.validation.names import bind
from stratarouter_runtime.tcfp.validation.outcome import Outcome, raised_by
from stratarouter_runtime.tcfp.validation.tree import Facts

MAX_ROUNDS: Final = 1000
"""What a host allows as `max`: no flow can run more steps anyway."""


def check_each(check: Checking, step: ir.Step, each: ir.Each, place: Place) -> Outcome:
    """The outcome of a map over a list: a list in input order."""
    items = compiled(check, each.items, place)
    item = _item(check, each, items.type)
    at_most = _max(check, step, each.max)
    frame = Frame(place.frame.depth + 1)
    inner = replace(place.into("each"), frame=frame)
    inner = _bound(check, inner, each.item, item, check.at(step.at, "as"))
    inner = _bound(check, inner, each.index, INT, check.at(step.at, "at"))
    body = check.step(each.body, inner)
    lasting.check_rounds(check, body, at_most)
    at_once = each.parallel or at_most
    worst = bounds.repeated(body.facts.worst, at_most, at_once)
    facts = Facts(body.facts.effect, body.facts.raises | raised_by(items) | kinds.TOO_MANY, worst)
    does = tree.Each(items, body, each.max, each.parallel or 0, frame.size)
    return Outcome(does, ListType(body.type), facts, "each")


def check_loop(check: Checking, step: ir.Step, loop: ir.Loop, place: Place) -> Outcome:
    """The outcome of a state machine: its state."""
    initial = compiled(check, loop.initial, place)
    state = _state(check, step, loop, initial)
    report(check, misfits(check, loop.initial, place, initial.type, state, Receiver("loop")))
    at_most = _max(check, step, loop.max)
    frame = Frame(place.frame.depth + 1)
    inner = replace(place.into("loop"), frame=frame)
    inner = _bound(check, inner, loop.state, state, check.at(step.at, "as"))
    test = condition(check, loop.test, inner, "while")
    holds, _ = narrowing(loop.test, inner.scope)
    body, result = _body(check, loop, inner.seeing(inner.scope.narrow(holds)), state)
    lasting.check_rounds(check, body, at_most)
    worst = bounds.repeated(body.facts.worst, at_most)
    raises = body.facts.raises | raised_by(initial, test, result)
    does = tree.Loop(initial, test, body, loop.max, frame.size, result, state)
    return Outcome(does, state, Facts(body.facts.effect, raises, worst), "loop")


def _body(check: Checking, loop: ir.Loop, place: Place, state: Type) -> tuple[tree.Step, Code | None]:
    """The body, and the value of `return`, which sees what the body binds."""
    step = loop.body
    if loop.result is not None and isinstance(step.does, ir.Do) and _plain(step):
        step = replace(step, does=replace(step.does, result=loop.result))
    body = check.step(step, place)
    if isinstance(step.does, ir.Do) and isinstance(body.does, tree.Do) and step.does.result is not None:
        _check_state(check, step.does.result, place.seeing(body.does.scope), body.type, state)
        return body, None
    if loop.result is None:
        misfit = relations.explain(body.type, state, "loop")
        if misfit:
            check.add("E310", step.at, misfit, "the body gives the next state: its type is that of loop:")
        return body, None
    scope = place.scope
    if step.id is not None:
        scope = scope.bind(step.id, body.type, body.depth, body.slot)
    result = compiled(check, loop.result, place.seeing(scope))
    _check_state(check, loop.result, place.seeing(scope), result.type, state)
    return body, result


def _plain(step: ir.Step) -> bool:
    """Whether the step is its block and nothing around it."""
    return step.guard is None and not step.catch and step.id is None


def _check_state(check: Checking, value: ir.Value, place: Place, type_: Type, state: Type) -> None:
    report(check, misfits(check, value, place, type_, state, Receiver("loop")))


def _state(check: Checking, step: ir.Step, loop: ir.Loop, initial: Code) -> Type:
    if loop.type is not None:
        return check.resolve(loop.type, check.at(step.at, "type"))
    return _widened(loop.initial, initial.type)


def _widened(value: ir.Value, type_: Type) -> Type:
    """The type of a state that starts with this value: a written text is any string, not only itself."""
    match value, type_:
        case ir.Constant(), EnumType():
            return replace(STRING, labels=type_.labels)
        case ir.RecordValue(), RecordType():
            written = dict(value.fields)
            fields = tuple(
                (name, _widened(written[name], of)) for name, of in type_.fields if name in written
            )
            return replace(type_, fields=fields)
        case ir.ListValue(items=(first, *_)), ListType():
            return replace(type_, item=_widened(first, type_.item))
        case _:
            return type_


def _item(check: Checking, each: ir.Each, type_: Type) -> Type:
    """The type of one item; the labels of the list are those of its items."""
    if isinstance(type_, UnknownType):
        return UNKNOWN
    if isinstance(type_, ListType):
        return labelled(type_.item, type_.labels)
    check.add("E312", check.whole(each.items), f"each needs a list, got {show(type_)}", _list_advice(type_))
    return UNKNOWN


def _list_advice(type_: Type) -> str:
    if isinstance(relations.without_null(type_), ListType):
        return "it may be null: write .orValue([])"
    match type_:
        case MapType():
            return "a map is no list: keep its entries as a list of records"
        case Primitive(name="string"):
            return "split() makes a list of a text"
        case _:
            return "write a list, or =[x] for a single item"


def _max(check: Checking, step: ir.Step, value: int) -> int:
    """`max`, or 1 where it is out of range, so that nothing is said twice."""
    at: Where = check.at(step.at, "max")
    if 1 <= value <= MAX_ROUNDS:
        return value
    if value < 1:
        check.add(
            "E313", at, f"max is {value}, at least 1 is needed", "leave the step out, or guard it with if:"
        )
    else:
        check.add(
            "E313", at, f"max is {value}, the host cap is {MAX_ROUNDS}", "split the list over several runs"
        )
    return 1


def _bound(check: Checking, place: Place, name: str | None, type_: Type, at: Where) -> Place:
    """The place with the binder in the next slot of the round, which is kept where nothing is bound."""
    slot = place.frame.slot()
    if name is None:
        return place
    return place.seeing(bind(check, place, name, type_, slot, at))
