"""The types of `==`, `!=` and `in`, and which code decides them.

Must never know scopes, functions or other operators.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import CONVERT, as_map, elements, values
from stratarouter_runtime.tcfp.expressions.checked import (
    Apply,
    Constant,
    Not,
    Operate,
    Recording,
    Typed,
    constant,
)
from stratarouter_runtime.tcfp.expressions.kinds import (
    MIXED,
    NUMBERS,
    ORDERED,
    kinds,
    labels,
    mixed_numbers,
    outer_labels,
)
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.relations import comparable, is_null, join, nullable, options_of, without_null
from stratarouter_runtime.tcfp.types import (
    BOOL,
    NULL,
    STRING,
    EnumType,
    ListType,
    MapType,
    RecordType,
    Type,
    UnionType,
    labelled,
    record,
    show,
)


def check_equality(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    """`==` and `!=`."""
    wrong = _never_equal(report, node.offset, node.operator, *_compared(left, right))
    if wrong:
        return wrong
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Constant) and one.value is None:
            operator = "is" if node.operator == "==" else "is not"
            return Operate(operator, other, one, labelled(BOOL, outer_labels(other.type)))  # type: ignore[arg-type]  # the operator is one of those the parser makes
    left, right = _as(left, right.type), _as(right, left.type)
    type_ = labelled(BOOL, labels(left, right))
    if _plain(left.type, right.type):
        return Operate("==" if node.operator == "==" else "!=", left, right, type_)
    same = Apply("equal", (left, right), type_, fails=False, budget=True)
    return same if node.operator == "==" else Not(same, type_)


def _compared(left: Typed, right: Typed) -> tuple[Type, Type]:
    """The types that need a value in common. Of constants any strings will do: none is a member mistyped."""
    if constant(left) and constant(right):
        return _any_string(left.type), _any_string(right.type)
    return left.type, right.type


def _any_string(type_: Type) -> Type:
    """The type with every enum widened to strings."""
    match type_:
        case EnumType():
            return STRING
        case ListType():
            return ListType(_any_string(type_.item))
        case MapType():
            return MapType(_any_string(type_.value))
        case RecordType():
            return RecordType(tuple((name, _any_string(of)) for name, of in type_.fields))
        case UnionType():
            return join(*map(_any_string, type_.options))
        case _:
            return type_


def _as(typed: Typed, other: Type) -> Typed:
    """A written record as what it is compared with: a map, or a record with more fields, null here."""
    bare = without_null(other)
    if values(bare) is not None:
        return as_map(typed)
    if not isinstance(typed, Recording | Constant) or not isinstance(typed.type, RecordType):
        return typed
    if not isinstance(bare, RecordType):
        return typed
    missing = [name for name, _ in bare.fields if typed.type.field(name) is None]
    type_ = record({**dict(typed.type.fields), **dict.fromkeys(missing, NULL)})
    if isinstance(typed, Constant):
        return Constant({**typed.value, **dict.fromkeys(missing)}, type_)
    return Recording((*typed.fields, *((name, Constant(None, NULL)) for name in missing)), type_)


def _never_equal(report: Reporter, offset: int, operator: str, a: Type, b: Type) -> Typed | None:
    if mixed_numbers(a, b) and not _share_others(a, b):
        return report.add("E213", offset, f"no {show(a)} {operator} {show(b)}", MIXED)
    if comparable(a, b):
        return None
    return report.add("E216", offset, f"{show(a)} can never equal {show(b)}", _nearest(a, b))


def _share_others(a: Type, b: Type) -> bool:
    """Whether the types can be equal by other values than numbers."""
    rest = [[of for of in options_of(type_) if not kinds(of) <= NUMBERS] for type_ in (a, b)]
    return any(comparable(left, right) for left in rest[0] for right in rest[1])


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
    if not found <= ORDERED | {"null"}:
        return False
    return "bool" not in found or not found & NUMBERS


def check_membership(report: Reporter, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
    """`in`: an element of a list, or a key of a map."""
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
        hint = CONVERT if "json" in kinds(right.type) else ""
        return report.add("E215", node.offset, f"{show(right.type)} is neither list nor map", hint)
    return _never_in(report, node, left, right, item) or _member(left, right, item, type_)


def _never_in(report: Reporter, node: syntax.Binary, left: Typed, right: Typed, item: Type) -> Typed | None:
    """E213 or E216 where no element can be equal; of a written list, for the first that cannot."""
    if constant(left) and constant(right):
        return _never_equal(report, node.offset, "in", _any_string(left.type), _any_string(item))
    if isinstance(node.right, syntax.ListLiteral) and isinstance(without_null(left.type), EnumType):
        for written in node.right.items:
            if isinstance(written, syntax.Literal) and isinstance(written.value, str):
                wrong = _never_equal(report, written.offset, "==", left.type, EnumType((written.value,)))
                if wrong:
                    return wrong
        return None
    return _never_equal(report, node.offset, "in", left.type, item)


def _member(left: Typed, right: Typed, item: Type, type_: Type) -> Typed:
    """A written list is bounded by the source already; any other is paid for."""
    if not _plain(left.type, item) or "float" in kinds(item):  # not-a-number is never a member
        return Apply("member", (left, right), type_, fails=False, budget=True)
    if isinstance(right, Constant):
        return Operate("in", left, right, type_)
    return Apply("plain_member", (left, right), type_, fails=False, charged=(1,))
