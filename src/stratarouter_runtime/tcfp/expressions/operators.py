"""The types of operators, and which code each needs on which operands.

Must never know scopes, functions or macros.
"""

from __future__ import annotations

from typing import Final, cast

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import as_map, elements, values
from stratarouter_runtime.tcfp.expressions.checked import (
    Apply,
    Constant,
    Logic,
    Not,
    Operate,
    PythonOperator,
    Typed,
    constant,
    kinds,
    unreachable,
)
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.relations import (
    comparable,
    is_null,
    join,
    labels_of,
    nullable,
    options_of,
    without_null,
)
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    STRING,
    TIME,
    EnumType,
    Labels,
    ListType,
    Type,
    labelled,
    show,
)

_NUMBERS: Final = frozenset({"int", "float"})
_ORDERED: Final = frozenset({"bool", "int", "float", "string", "bytes", "time", "duration"})
_NAMES: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod"}
_MIXED: Final = "types never mix int and float: write 2.0 or double(n)"
_TIMES: Final = {
    ("+", "time", "duration"): ("add_time", TIME),
    ("+", "duration", "time"): ("add_time", TIME),
    ("-", "time", "duration"): ("sub_time", TIME),
    ("-", "time", "time"): ("between_times", DURATION),
    ("+", "duration", "duration"): ("add_duration", DURATION),
    ("-", "duration", "duration"): ("sub_duration", DURATION),
}


def labels(*operands: Typed) -> Labels:
    """Everything that the operands carry."""
    return frozenset().union(*(labels_of(operand.type) for operand in operands))


def mixed_numbers(a: Type, b: Type) -> bool:
    """Whether one type is of ints and the other of floats."""
    return {kinds(a) & _NUMBERS, kinds(b) & _NUMBERS} == {frozenset({"int"}), frozenset({"float"})}


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
        return _equality(report, node, left, right)
    if node.operator == "in":
        return _membership(report, node, left, right)
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
        hint = _MIXED
    elif node.operator == "+" and "string" in kinds(left.type) | kinds(right.type):
        hint = "convert with string(…)"
    message = f"no {show(left.type)} {node.operator} {show(right.type)}"
    return report.add("E213", node.offset, message, hint)


def _logic(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    if not kinds(left.type) == kinds(right.type) == {"bool"}:
        return _wrong(report, node, left, right)
    operator = "and" if node.operator == "&&" else "or"
    return Logic(operator, left, right, labelled(BOOL, labels(left, right)))  # type: ignore[arg-type]


def _order(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    kind = kinds(left.type)
    if kind != kinds(right.type) or len(kind) != 1 or not kind <= _ORDERED:
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
            return Operate(operator, left, right, labelled(FLOAT, carried))
        case "/", ("float",), ("float",):
            return Apply("div_float", (left, right), labelled(FLOAT, carried), fails=False)
        case "+", ("string",), ("string",):
            return _concat(left, right, labelled(STRING, carried))
        case "+", ("bytes",), ("bytes",):
            return Apply("concat_bytes", (left, right), labelled(BYTES, carried))
        case "+", ("list",), ("list",):
            return _concat_lists(report, node, left, right)
        case operator, (first,), (second,) if (operator, first, second) in _TIMES:
            function, type_ = _TIMES[operator, first, second]
            return Apply(function, (left, right), labelled(type_, carried))
        case _:
            return _wrong(report, node, left, right)


def _concat(left: Typed, right: Typed, type_: Type) -> Typed:
    """A run of `+` is one call: it copies every character once."""
    first = left.arguments if isinstance(left, Apply) and left.function == "concat" else (left,)
    return Apply("concat", (*first, right), type_)


def _concat_lists(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    first, second = elements(left.type), elements(right.type)
    if first is None or second is None or mixed_numbers(first, second):
        return _wrong(report, node, left, right)
    return Apply("concat_lists", (left, right), ListType(join(first, second)), charged=(0, 1))


# Equality.


def _equality(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    if not (constant(left) and constant(right)) or mixed_numbers(left.type, right.type):
        wrong = _never_equal(report, node, left.type, right.type)
        if wrong:
            return wrong
    left, right = (
        (as_map(left), right) if values(right.type) else (left, as_map(right) if values(left.type) else right)
    )
    type_ = labelled(BOOL, labels(left, right))
    for one, other in ((left, right), (right, left)):
        if is_null(one.type) and isinstance(one, Constant):
            return Operate("is" if node.operator == "==" else "is not", other, one, type_)
    if _plain(left.type, right.type):
        return Operate("==" if node.operator == "==" else "!=", left, right, type_)
    same = Apply("equal", (left, right), type_, fails=False, budget=True)
    return same if node.operator == "==" else Not(same, type_)


def _never_equal(report: Reporter, node: syntax.Binary, a: Type, b: Type) -> Typed | None:
    if mixed_numbers(a, b) and not comparable(_without(a), _without(b)):
        return report.add("E213", node.offset, f"no {show(a)} {node.operator} {show(b)}", _MIXED)
    if comparable(a, b):
        return None
    return report.add("E216", node.offset, f"{show(a)} can never equal {show(b)}", _nearest(a, b))


def _without(type_: Type) -> Type:
    """The type without numbers."""
    return join(*(of for of in options_of(type_) if not kinds(of) <= _NUMBERS))


def _nearest(a: Type, b: Type) -> str:
    """Which member was meant, where one side is a literal and the other an enum."""
    if is_null(a) or is_null(b):
        return "it is never null"
    left, right = (_members(a), _members(b))
    if len(right) == 1:
        return did_you_mean(right[0], left)
    return did_you_mean(left[0], right) if len(left) == 1 else ""


def _members(type_: Type) -> tuple[str, ...]:
    bare = without_null(type_)
    return bare.members if isinstance(bare, EnumType) else ()


def _plain(a: Type, b: Type) -> bool:
    """Whether Python's `==` is CEL's on these scalars: it takes True for 1, and looks into lists unpaid."""
    found = kinds(a) | kinds(b)
    if not found <= _ORDERED | {"null"}:
        return False
    return "bool" not in found or not found & _NUMBERS


def _membership(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    if nullable(right.type) and "json" not in kinds(right.type):
        return report.null(node.offset, node.right, right.type)
    right = as_map(right)
    type_ = labelled(BOOL, labels(left, right))
    if values(right.type) is not None:
        if kinds(left.type) != {"string"}:
            return report.add("E213", node.offset, f"keys of a map are strings, not {show(left.type)}")
        return Operate("in", left, right, type_)
    item = elements(right.type)
    if item is None:
        return report.add("E215", node.offset, f"{show(right.type)} is neither list nor map")
    if constant(left) and constant(right):
        wrong = mixed_numbers(left.type, item) and _never_equal(report, node, left.type, item)
    else:
        wrong = _never_equal(report, node, left.type, item)
    return wrong or _member(left, right, item, type_)


def _member(left: Typed, right: Typed, item: Type, type_: Type) -> Typed:
    """A written list is bounded by the source already; any other is paid for."""
    if not _plain(left.type, item) or "float" in kinds(item):  # not-a-number is never a member
        return Apply("member", (left, right), type_, fails=False, budget=True)
    if isinstance(right, Constant):
        return Operate("in", left, right, type_)
    return Apply("plain_member", (left, right), type_, charged=(1,))
