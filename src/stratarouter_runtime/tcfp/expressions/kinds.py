"""What the rules of expressions ask of types: kinds of value, labels, and whether numbers mix.

Must never know syntax or code.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.tcfp.expressions.checked import Typed
from stratarouter_runtime.tcfp.relations import labels_of, options_of
from stratarouter_runtime.tcfp.types import EnumType, Labels, Primitive, Type

NUMBERS: Final = frozenset({"int", "float"})
ORDERED: Final = frozenset({"bool", "int", "float", "string", "bytes", "time", "duration"})
MIXED: Final = "types never mix int and float: write 2.0 or double(n)"
"""The hint wherever ints and floats meet."""
_STRING: Final = frozenset({"string"})
_PRIMITIVE_KINDS: Final = {
    name: frozenset({name})
    for name in (
        "bool",
        "int",
        "float",
        "string",
        "bytes",
        "time",
        "duration",
        "file",
        "json",
        "null",
        "never",
    )
}


def kinds(type_: Type) -> frozenset[str]:
    """The kinds of value a type has: names of primitives, `list`, `map`, `record`; enums are strings."""
    if isinstance(type_, Primitive):
        return _PRIMITIVE_KINDS[type_.name]
    if isinstance(type_, EnumType):
        return _STRING
    name = type(type_).__name__
    if name == "UnionType":
        return frozenset().union(*(kinds(option) for option in options_of(type_)))
    return frozenset({name.removesuffix("Type").lower()})


def labels(*operands: Typed) -> Labels:
    """Everything that the operands carry."""
    return frozenset().union(*(labels_of(operand.type) for operand in operands))


def outer_labels(type_: Type) -> Labels:
    """What the value itself carries, without what its parts do: its size, and whether it is there."""
    return frozenset().union(*(of.labels for of in options_of(type_)))


def mixed_numbers(a: Type, b: Type) -> bool:
    """Whether one type is of ints and the other of floats."""
    return {kinds(a) & NUMBERS, kinds(b) & NUMBERS} == {frozenset({"int"}), frozenset({"float"})}
