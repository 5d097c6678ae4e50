"""Flow to document: the same flow as plain data, which loads back as an equal one.

The document is what travels with plans, and what flows built in Python are shown as. What
has its default is left out. Positions are not kept. Must never know files or plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from msgspec import Struct
from msgspec.structs import asdict

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.durations import format_duration
from stratarouter_runtime.tcfp.ir import NOWHERE, Constant, Expression, ListValue, RecordValue, Step, Value
from stratarouter_runtime.tcfp.loader import VERSION
from stratarouter_runtime.tcfp.type_syntax import write_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.tcfp.types import Type

T = TypeVar("T")
_OMIT: Final[Any] = object()
"""Stands for what is not written; null is written."""


def write(flow: ir.Flow) -> dict[str, Any]:
    """The flow as JSON-able data; `load` of its JSON gives an equal flow, positions aside.

    Written as JSON that keeps floats floats: RFC 8785 would turn 1.0 into 1, an int.
    """
    return _some(
        {
            "tcfp": VERSION,
            "flow": flow.name,
            "note": flow.note or _OMIT,
            "types": _types(flow.types.items()),
            "errors": _types(flow.errors),
            "raises": list(flow.raises) or _OMIT,
            "agents": _agents(flow.agents),
            "in": _types(flow.input),
            "out": write_type(flow.output),
            "limits": _limits(flow.limits),
            "stable": flow.stable or _OMIT,
            "cache": _given(flow.cache),
            "semantic": list(flow.semantic) or _OMIT,
            "about": flow.about or _OMIT,
            "tags": list(flow.tags) or _OMIT,
            "do": [_step(step) for step in flow.body.steps],
            "return": _value(flow.body.result),
        }
    )


def write_signature(signature: ir.Signature) -> dict[str, Any]:
    """A signature as JSON-able data, in the form it has under `agents:`."""
    return _some(
        {
            "in": _unless(write_type(signature.input), {}),
            "out": write_type(signature.output),
            "effect": _unless(signature.effect, "effect"),
            "stable": signature.stable or _OMIT,
            "cache": _given(signature.cache),
            "semantic": list(signature.semantic) or _OMIT,
            "accepts": sorted(signature.accepts) or _OMIT,
            "errors": list(signature.errors) or _OMIT,
            "about": signature.about or _OMIT,
            "tags": list(signature.tags) or _OMIT,
            "needs": _unless(_lists(asdict(signature.needs)), _lists(asdict(ir.Needs()))),
            "cost": _unless(asdict(signature.cost), asdict(ir.Cost())),
            "time": _duration(signature.time),
            "on_crash": _given(signature.on_crash),
        }
    )


def strip(node: T) -> T:
    """The same flow, or part of one, without positions: equal for equal content, wherever written."""
    return cast("T", _strip(node))


def _strip(node: object) -> object:
    match node:
        case Struct():
            return type(node)(
                **{
                    name: _NO_PLACE[name] if name in _NO_PLACE else _strip(getattr(node, name))
                    for name in node.__struct_fields__
                }
            )
        case tuple():
            return tuple(_strip(item) for item in node)
        case dict():
            return {key: _strip(item) for key, item in node.items()}
        case _:
            return node


_NO_PLACE: Final[dict[str, Any]] = {"at": NOWHERE, "line": 0, "column": 0, "places": {}}


def _some(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not _OMIT}


def _given(value: Any) -> Any:
    return _OMIT if value is None else value


def _unless(value: Any, default: Any) -> Any:
    return _OMIT if value == default else value


def _lists(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}


def _duration(microseconds: int | None) -> Any:
    return _OMIT if microseconds is None else format_duration(microseconds)


def _types(named: Iterable[tuple[str, Type]]) -> Any:
    return {name: write_type(type_) for name, type_ in named} or _OMIT


def _agents(agents: tuple[ir.AgentRef, ...]) -> Any:
    return {
        agent.name: None if agent.signature is None else write_signature(agent.signature) for agent in agents
    } or _OMIT


def _limits(limits: ir.Limits | None) -> Any:
    if limits is None:
        return _OMIT
    fields = _lists(asdict(limits))
    del fields["at"]
    written = {key: value for key, value in fields.items() if value is not None}
    if limits.time is not None:
        written["time"] = format_duration(limits.time)
    return written


def _value(value: Value | None) -> Any:
    match value:
        case None:
            return _OMIT
        case Constant(data=str() as text) if text.startswith("="):
            return f"={text}"
        case Constant():
            return value.data
        case Expression():
            return f"={value.source}"
        case ListValue():
            return [_value(item) for item in value.items]
        case RecordValue():
            return {name: _value(item) for name, item in value.fields}


def _step(step: Step) -> dict[str, Any]:
    before = {"id": _given(step.id), "note": step.note or _OMIT, "if": _value(step.guard)}
    after = {
        "retry": _retry(step.retry),
        "catch": [_catch(handler) for handler in step.catch] or _OMIT,
        "undo": _OMIT if step.undo is None else _body(step.undo),
        "limits": _limits(step.limits),
    }
    return _some({**before, "time": _duration(step.time), **_operator(step.does), **after})


def _body(step: Step) -> dict[str, Any] | list[dict[str, Any]]:
    """A step inside of a step; a bare block as a list, so that no document nests deeper than its source."""
    match step.does:
        case ir.Do(steps=steps, result=None) if step == Step(step.does, at=step.at):
            return [_step(inner) for inner in steps]
        case _:
            return _step(step)


def _retry(retry: ir.Retry | None) -> Any:
    if retry is None:
        return _OMIT
    return _some(
        {
            "max": retry.max,
            "wait": _duration(retry.wait or None),
            "factor": _unless(retry.factor, 1.0),
            "on": list(retry.on) or _OMIT,
            "unsafe": retry.unsafe or _OMIT,
        }
    )


def _catch(handler: ir.Catch) -> dict[str, Any]:
    binder = _unless(handler.binder, "error")
    return _some({"on": list(handler.on), "as": binder, "do": _body(handler.body)})


def _operator(does: ir.Operator) -> dict[str, Any]:
    match does:
        case ir.Call() | ir.Let() | ir.Ask() | ir.Sleep() | ir.Fail():
            return _leaf(does)
        case ir.Route():
            return _route(does)
        case ir.Each() | ir.Loop():
            return _repeated(does)
        case ir.Do():
            return {"do": [_step(step) for step in does.steps], "return": _value(does.result)}
        case ir.Match():
            otherwise = _OMIT if does.otherwise is None else _body(does.otherwise)
            return {"match": _value(does.subject), "cases": _branches(does.cases), "else": otherwise}
        case ir.Par():
            return {"par": _branches(does.branches)}
        case ir.Race():
            return {"race": _branches(does.branches)}


def _leaf(does: ir.Call | ir.Let | ir.Ask | ir.Sleep | ir.Fail) -> dict[str, Any]:
    match does:
        case ir.Call():
            return {"call": does.agent, "with": _value(does.with_)}
        case ir.Let():
            return {"let": _value(does.value), "type": _type(does.type)}
        case ir.Ask():
            return {
                "ask": write_type(does.type),
                "from": _given(does.sender),
                "show": _value(does.show),
                "time": format_duration(does.time),
                "else": _value(does.otherwise),
            }
        case ir.Sleep():
            return {"sleep": format_duration(does.time)}
        case ir.Fail():
            return {"fail": does.kind, "message": _value(does.message), "data": _value(does.data)}


def _route(does: ir.Route) -> dict[str, Any]:
    among: Any
    if isinstance(does.among, ir.Among):
        among = {"tag": does.among.tag, "out": write_type(does.among.output)}
    else:
        among = list(does.among)
    rules = [{"when": _value(rule.when), "pick": rule.pick} for rule in does.rules]
    return {
        "route": _value(does.query),
        "among": among,
        "with": _value(does.with_),
        "rules": rules or _OMIT,
        "min": _given(does.min),
        "else": _given(does.otherwise),
    }


def _repeated(does: ir.Each | ir.Loop) -> dict[str, Any]:
    match does:
        case ir.Each():
            return {
                "each": _value(does.items),
                "as": _given(does.item),
                "at": _given(does.index),
                "max": does.max,
                "parallel": _given(does.parallel),
                "do": _body(does.body),
            }
        case ir.Loop():
            return {
                "loop": _value(does.initial),
                "type": _type(does.type),
                "as": _given(does.state),
                "while": _value(does.test),
                "max": does.max,
                "do": _body(does.body),
                "return": _value(does.result),
            }


def _branches(branches: tuple[tuple[str, Step], ...]) -> dict[str, Any]:
    return {name: _body(step) for name, step in branches}


def _type(type_: Type | None) -> Any:
    return _OMIT if type_ is None else write_type(type_)
