"""The types of operators, and which code each needs on which operands.

Must never know scopes, functions or macros.
"""

from __future__ import annotations

from typing import Final, cast

from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import CONVERT, elements
from stratarouter_runtime.tcfp.expressions.checked import (
    Apply,
    Constant,
    Logic,
    Not,
    Operate,
    PythonOperator,
    Typed,
    unreachable,
)
from stratarouter_runtime.tcfp.expressions.equality import check_equality, check_membership
from stratarouter_runtime.tcfp.expressions.kinds import (
    MIXED,
    ORDERED,
    kinds,
    labels,
    mixed_numbers,
    outer_labels,
)
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    STRING,
    TIME,
    ListType,
    Type,
    labelled,
    show,
)

_NAMES: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod"}
_TIMES: Final = {
    ("+", "time", "duration"): ("add_time", TIME),
    ("+", "duration", "time"): ("add_time", TIME),
    ("-", "time", "duration"): ("sub_time", TIME),
    ("-", "time", "time"): ("between_times", DURATION),
    ("+", "duration", "duration"): ("add_duration", DURATION),
    ("-", "duration", "duration"): ("sub_duration", DURATION),
}


def check_unary(report: Reporter, node: syntax.Unary, operand: Typed) -> Typed:
    """`!` of a bool, `-` of a number."""
    stop = unreachable(operand) or report.no_null(node.offset, ((node.operand, operand),))
    if stop:
        return stop
    found = kinds(operand.type)
    carried = labels(operand)
    if node.operator == "!" and found == {"bool"}:
        return Not(operand, labelled(BOOL, carried))
    if node.operator == "-" and found == {"int"}:
        return Apply("neg_int", (operand,), labelled(INT, carried))
    if node.operator == "-" and found == {"float"}:
        return Apply("neg_float", (operand,), labelled(FLOAT, carried), fails=False)
    wanted = "a bool" if node.operator == "!" else "a number"
    return report.add("E213", node.offset, f"{node.operator} needs {wanted}, not {show(operand.type)}")


def check_binary(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    """Every operator between two values."""
    stop = unreachable(left, right)
    if stop:
        return stop
    if node.operator in ("==", "!="):
        return check_equality(report, node, left, right)
    if node.operator == "in":
        return check_membership(report, node, left, right)
    null = report.no_null(node.offset, ((node.left, left), (node.right, right)))
    if null:
        return null
    if node.operator in ("&&", "||"):
        return _logic(report, node, left, right)
    if node.operator in ("<", "<=", ">", ">="):
        return _order(report, node, left, right)
    return _arithmetic(report, node, left, right)


def _wrong(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    hint = ""
    if mixed_numbers(left.type, right.type):
        hint = MIXED
    elif "json" in kinds(left.type) | kinds(right.type):
        hint = CONVERT
    elif node.operator == "+" and "string" in kinds(left.type) | kinds(right.type):
        hint = "convert with string(…)"
    message = f"no {show(left.type)} {node.operator} {show(right.type)}"
    return report.add("E213", node.offset, message, hint)


def _logic(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    if not kinds(left.type) == kinds(right.type) == {"bool"}:
        return _wrong(report, node, left, right)
    operator = "and" if node.operator == "&&" else "or"
    return Logic(operator, left, right, labelled(BOOL, labels(left, right)))  # type: ignore[arg-type]  # the operator is one of those the parser makes


def _order(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    kind = kinds(left.type)
    if kind != kinds(right.type) or len(kind) != 1 or not kind <= ORDERED:
        return _wrong(report, node, left, right)
    if kind == {"duration"}:
        left, right = (
            Apply("duration_micros", (of,), labelled(INT, labels(of)), fails=False) for of in (left, right)
        )
    return Operate(cast("PythonOperator", node.operator), left, right, labelled(BOOL, labels(left, right)))


def _arithmetic(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    carried = labels(left, right)
    match node.operator, tuple(sorted(kinds(left.type))), tuple(sorted(kinds(right.type))):
        case operator, ("int",), ("int",):
            return Apply(f"{_NAMES[operator]}_int", (left, right), labelled(INT, carried))
        case ("+" | "-" | "*") as operator, ("float",), ("float",):
            return Operate(operator, _as_float(left, right), right, labelled(FLOAT, carried))
        case "/", ("float",), ("float",):
            return Apply("div_float", (left, right), labelled(FLOAT, carried), fails=False)
        case "+", ("string",), ("string",):
            return _concat(left, right, labelled(STRING, carried))
        case "+", ("bytes",), ("bytes",):
            return Apply("concat_bytes", (left, right), labelled(BYTES, carried), fails=False)
        case "+", ("list",), ("list",):
            return _concat_lists(report, node, left, right)
        case operator, (first,), (second,) if (operator, first, second) in _TIMES:
            function, type_ = _TIMES[operator, first, second]
            return Apply(function, (left, right), labelled(type_, carried))
        case _:
            return _wrong(report, node, left, right)


_FLOATS: Final = frozenset({"to_float", "div_float", "sum_floats", "neg_float"})


def _as_float(left: Typed, right: Typed) -> Typed:
    """`left`, made a float where both may be ints that go for floats: their product would have no bound."""
    for of in (left, right):
        if isinstance(of, Operate) or (isinstance(of, Apply) and of.function in _FLOATS):
            return left
        if isinstance(of, Constant) and isinstance(of.value, float):
            return left
    return Apply("to_float", (left,), left.type, fails=False)


def _concat(left: Typed, right: Typed, type_: Type) -> Typed:
    """A run of `+` is one call: it copies every character once."""
    first = left.arguments if isinstance(left, Apply) and left.function == "concat" else (left,)
    return Apply("concat", (*first, right), type_, fails=False)


def _concat_lists(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    first, second = elements(left.type), elements(right.type)
    if first is None or second is None or mixed_numbers(first, second):
        return _wrong(report, node, left, right)
    carried = outer_labels(left.type) | outer_labels(right.type)
    return Apply(
        "concat_lists", (left, right), ListType(join(first, second), carried), fails=False, charged=(0, 1)
    )
