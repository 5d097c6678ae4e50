"""The types of function calls: which signature fits, and what to say where none does.

Must never know scopes or macros.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import CONVERT, as_map
from stratarouter_runtime.tcfp.expressions.checked import (
    UNTYPED,
    Apply,
    Constant,
    Default,
    Typed,
    constant,
    unreachable,
)
from stratarouter_runtime.tcfp.expressions.functions import FUNCTIONS, Signature
from stratarouter_runtime.tcfp.expressions.kinds import MIXED, kinds, mixed_numbers
from stratarouter_runtime.tcfp.expressions.parser import MACROS
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.expressions.strings import pattern
from stratarouter_runtime.tcfp.relations import join, without_null
from stratarouter_runtime.tcfp.types import STRING, show

_CLOCK: Final = frozenset({"now", "random", "rand", "uuid", "today", "time"})
_INSTEAD: Final = {
    "has": "every declared field is there: compare it with null",
    "len": "did you mean 'size'?",
    "float": "did you mean 'double'?",
    "str": "did you mean 'string'?",
    "lower": "did you mean 'lowerAscii'?",
    "upper": "did you mean 'upperAscii'?",
}


def check_call(report: Reporter, node: syntax.Call, given: tuple[Typed, ...]) -> Typed:
    """A call; `given` are its checked arguments, the receiver of a method first."""
    if node.function == "orValue" and node.target is not None:
        return _or_value(report, node, given)
    signatures = FUNCTIONS.get(node.function)
    if signatures is None:
        return report.add("E218", node.offset, f"no function {node.function}()", _instead(node.function))
    stop = unreachable(*given)
    if stop:
        return stop
    signature = _signature(report, node, given, signatures)
    if signature is None:
        return UNTYPED
    return (
        _pattern(report, node, given, signature) if signature.run == "matches" else _apply(signature, given)
    )


def _instead(name: str) -> str:
    if name in _CLOCK:
        return "now() and random() do not exist: use run.started or run.seed"
    if name in MACROS:
        return f"write list.{name}(x, …)"
    return _INSTEAD.get(name) or did_you_mean(name, [*FUNCTIONS, *sorted(MACROS), "orValue"])


def _signature(
    report: Reporter, node: syntax.Call, given: tuple[Typed, ...], signatures: tuple[Signature, ...]
) -> Signature | None:
    """The first signature that fits; None where none does, which is then reported."""
    form = "function" if node.target is None else "method"
    fitting = [of for of in signatures if of.form in (form, "either")]
    if not fitting:
        report.add(
            "E214",
            node.offset,
            f"{node.function} is no {form}",
            f"write {signatures[0].shown(node.function)}",
        )
        return None
    for signature in fitting:
        if _accepts(signature, given):
            return signature
    nodes = node.arguments if node.target is None else (node.target, *node.arguments)
    if not report.no_null(node.offset, tuple(zip(nodes, given, strict=True))):
        shown = ", ".join(show(of.type) for of in given)
        wanted = " or ".join(of.shown(node.function) for of in fitting)
        hint = CONVERT if any("json" in kinds(of.type) for of in given) else ""
        report.add("E214", node.offset, f"{node.function} does not take ({shown}): it is {wanted}", hint)
    return None


def _accepts(signature: Signature, given: tuple[Typed, ...]) -> bool:
    most = len(signature.parameters)
    if not most - signature.optional <= len(given) <= most:
        return False
    parameters = signature.parameters[: len(given)]
    return all(wanted.accepts(as_map(of).type) for wanted, of in zip(parameters, given, strict=True))


def _apply(signature: Signature, given: tuple[Typed, ...]) -> Typed:
    type_ = signature.result(tuple(as_map(of).type for of in given))
    return Apply(signature.run, given, type_, signature.fails, signature.charged, signature.budget)


def _pattern(report: Reporter, node: syntax.Call, given: tuple[Typed, ...], signature: Signature) -> Typed:
    """A pattern is a literal, so that it is compiled when the flow is loaded."""
    text, source = given
    if not constant(source) or not isinstance(source, Constant):
        return report.add(
            "E217", node.offset, "the pattern of matches is a literal", "write it here, in quotes"
        )
    try:
        compiled = Constant(pattern(source.value), STRING)
    except ValueError as problem:
        return report.add("E217", node.arguments[-1].offset, f"no RE2 pattern: {problem}")
    return Apply("matches", (text, compiled), signature.result((text.type, source.type)), fails=False)


def _or_value(report: Reporter, node: syntax.Call, given: tuple[Typed, ...]) -> Typed:
    if len(given) != 2:
        return report.add("E214", node.offset, "orValue takes one default", "write x.orValue(default)")
    stop = unreachable(*given)
    if stop:
        return stop
    value, otherwise = given
    if mixed_numbers(value.type, otherwise.type):
        message = f"no {show(value.type)} or {show(otherwise.type)}"
        return report.add("E213", node.offset, message, MIXED)
    return Default(value, otherwise, join(without_null(value.type), otherwise.type))
