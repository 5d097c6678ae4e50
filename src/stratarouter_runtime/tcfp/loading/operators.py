"""The twelve operators: from the fields of a step to what it does.

Must never know modifiers, or how a step inside of a step is read (that is given).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.loading.fields import POSITIVE, Fields, Range, duration_of, open_fields, wrong
from stratarouter_runtime.tcfp.loading.signatures import needed_type
from stratarouter_runtime.tcfp.loading.values import NOTHING, read_value
from stratarouter_runtime.tcfp.text import Mapping, Sequence
from stratarouter_runtime.tcfp.type_syntax import read_type

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.ir import Step, Value, Where
    from stratarouter_runtime.tcfp.text import Node
    from stratarouter_runtime.tcfp.types import Type

_ANY: Final = Range(-MAX_INTEGER)


class Bodies(Protocol):
    """Reads the steps inside of a step."""

    def steps(self, node: Node | None) -> tuple[Step, ...]:
        """The steps of a list."""
        ...

    def body(self, node: Node | None) -> Step:
        """One step, or a list of steps as a block."""
        ...


Reader: TypeAlias = Callable[[Fields, Bodies], ir.Operator]


def _call(fields: Fields, _: Bodies) -> ir.Call:
    return ir.Call(fields.text("call") or "", _with(fields), _at(fields, "call"))


def _route(fields: Fields, _: Bodies) -> ir.Route:
    return ir.Route(
        query=_value(fields, "route"),
        among=_among(fields),
        with_=_with(fields),
        rules=tuple(_rules(fields)),
        min=fields.number("min", _ANY),
        otherwise=fields.text("else"),
        at=_at(fields, "route"),
    )


def _among(fields: Fields) -> tuple[str, ...] | ir.Among:
    node = fields.need("among", "write the agents to choose from: [a, b], or {tag: …, out: …}")
    if isinstance(node, Sequence):
        if not node.items:
            _empty(fields, node.at, "an agent to choose")
        return fields.texts("among") or ()
    if isinstance(node, Mapping):
        inner = open_fields(node, "among", ("tag", "out"), fields.diagnostics)
        if inner is not None:
            inner.need("tag")
            return ir.Among(inner.text("tag") or "", needed_type(inner, "out"), inner.at)
    elif node is not None:
        wrong(node, "a list of agents", fields.diagnostics, "write [a, b], or {tag: …, out: …}")
    return ()


def _rules(fields: Fields) -> list[ir.Rule]:
    rules: list[ir.Rule] = []
    for item in fields.items("rules") or ():
        rule = open_fields(item, "a rule", ("when", "pick"), fields.diagnostics)
        if rule is not None:
            rule.need("pick", "write the agent that answers")
            rules.append(ir.Rule(_needed_value(rule, "when"), rule.text("pick") or "", rule.at))
    return rules


def _let(fields: Fields, _: Bodies) -> ir.Let:
    return ir.Let(_value(fields, "let"), _optional_type(fields), _at(fields, "let"))


def _do(fields: Fields, bodies: Bodies) -> ir.Do:
    return ir.Do(bodies.steps(fields.node("do")), _optional_value(fields, "return"), _at(fields, "do"))


def _match(fields: Fields, bodies: Bodies) -> ir.Match:
    fields.need("cases", "write cases: {label: step}")
    otherwise = fields.node("else")
    return ir.Match(
        subject=_value(fields, "match"),
        cases=_branches(fields, "cases", bodies),
        otherwise=None if otherwise is None else bodies.body(otherwise),
        at=_at(fields, "match"),
    )


def _par(fields: Fields, bodies: Bodies) -> ir.Par:
    return ir.Par(_branches(fields, "par", bodies), _at(fields, "par"))


def _race(fields: Fields, bodies: Bodies) -> ir.Race:
    return ir.Race(_branches(fields, "race", bodies), _at(fields, "race"))


def _each(fields: Fields, bodies: Bodies) -> ir.Each:
    return ir.Each(
        items=_value(fields, "each"),
        body=_body(fields, bodies),
        max=_max(fields),
        item=fields.name("as"),
        index=fields.name("at"),
        parallel=fields.integer("parallel", POSITIVE),
        at=_at(fields, "each"),
    )


def _loop(fields: Fields, bodies: Bodies) -> ir.Loop:
    return ir.Loop(
        initial=_value(fields, "loop"),
        test=_needed_value(fields, "while"),
        body=_body(fields, bodies),
        max=_max(fields),
        state=fields.name("as"),
        result=_optional_value(fields, "return"),
        type=_optional_type(fields),
        at=_at(fields, "loop"),
    )


def _ask(fields: Fields, _: Bodies) -> ir.Ask:
    fields.need("time", "an answer may never come: write how long to wait, e.g. time: 1h")
    return ir.Ask(
        type=needed_type(fields, "ask"),
        time=fields.duration("time", least=1) or 0,
        sender=fields.text("from"),
        show=_optional_value(fields, "show"),
        otherwise=_optional_value(fields, "else"),
        at=_at(fields, "ask"),
    )


def _sleep(fields: Fields, _: Bodies) -> ir.Sleep:
    node = fields.node("sleep")
    time = None if node is None else duration_of(node, fields.diagnostics)
    return ir.Sleep(time or 0, _at(fields, "sleep"))


def _fail(fields: Fields, _: Bodies) -> ir.Fail:
    return ir.Fail(
        kind=fields.text("fail") or "",
        message=_optional_value(fields, "message"),
        data=_optional_value(fields, "data"),
        at=_at(fields, "fail"),
    )


# Operator -> the keys it has besides its own, and its reader.
OPERATORS: Final[dict[str, tuple[tuple[str, ...], Reader]]] = {
    "call": (("with",), _call),
    "route": (("among", "with", "rules", "min", "else"), _route),
    "let": (("type",), _let),
    "do": (("return",), _do),
    "match": (("cases", "else"), _match),
    "par": ((), _par),
    "race": ((), _race),
    "each": (("as", "at", "max", "parallel", "do"), _each),
    "loop": (("type", "as", "while", "max", "do", "return"), _loop),
    "ask": (("from", "show", "time", "else"), _ask),
    "sleep": ((), _sleep),
    "fail": (("message", "data"), _fail),
}


def _at(fields: Fields, key: str) -> Where:
    node = fields.node(key)
    return fields.at if node is None else node.at


def _value(fields: Fields, key: str) -> Value:
    return _optional_value(fields, key) or NOTHING


def _needed_value(fields: Fields, key: str) -> Value:
    node = fields.need(key)
    return NOTHING if node is None else read_value(node, fields.diagnostics)


def _optional_value(fields: Fields, key: str) -> Value | None:
    node = fields.node(key)
    return None if node is None else read_value(node, fields.diagnostics)


def _optional_type(fields: Fields) -> Type | None:
    node = fields.node("type")
    return None if node is None else read_type(node, fields.diagnostics)


def _with(fields: Fields) -> Value:
    """What is passed; nothing written is the empty record."""
    return _optional_value(fields, "with") or ir.RecordValue((), fields.at)


def _body(fields: Fields, bodies: Bodies) -> Step:
    return bodies.body(fields.need("do", "write the step to repeat, or a list of steps"))


def _max(fields: Fields) -> int:
    fields.need("max", "write how often at most: every flow has a bound")
    return fields.integer("max", POSITIVE) or 1


def _branches(fields: Fields, key: str, bodies: Bodies) -> tuple[tuple[str, Step], ...]:
    mapping = fields.mapping(key)
    if mapping is None:
        return ()
    if not mapping.entries:
        _empty(fields, mapping.at, "a branch")
    return tuple((entry.key, bodies.body(entry.value)) for entry in mapping.entries)


def _empty(fields: Fields, at: Where, what: str) -> None:
    fields.diagnostics.add(
        "E135", at, f"{what} is expected here, and nothing is written", "write at least one"
    )
