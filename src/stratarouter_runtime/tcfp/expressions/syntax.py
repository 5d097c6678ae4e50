"""The syntax tree of an expression, as parsed: names are names, nothing is typed.

Every node knows its `offset` into the source (0-based, in code points): where a message
about it should point, which is the operator, the field's or the function's name, or the
first character. Binders of macros are explicit, so that a reader can tell bound names
from free ones. Must never know types, scopes or code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal as OneOf
from typing import TypeAlias

from msgspec import Struct

UnaryOperator: TypeAlias = OneOf["!", "-"]
BinaryOperator: TypeAlias = OneOf["||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]
MacroKind: TypeAlias = OneOf["map", "filter", "all", "exists", "exists_one"]


class Literal(Struct, frozen=True):
    """A null, bool, int, float, string or bytes."""

    value: bool | int | float | str | bytes | None
    offset: int


class Name(Struct, frozen=True):
    """A name of the scope or of a macro around it."""

    name: str
    offset: int


class Field(Struct, frozen=True):
    """`target.name`."""

    target: Node
    name: str
    offset: int


class Index(Struct, frozen=True):
    """`target[key]`."""

    target: Node
    key: Node
    offset: int


class Unary(Struct, frozen=True):
    """`!operand` or `-operand`; a minus before a number belongs to the number."""

    operator: UnaryOperator
    operand: Node
    offset: int


class Binary(Struct, frozen=True):
    """`left operator right`."""

    operator: BinaryOperator
    left: Node
    right: Node
    offset: int


class Conditional(Struct, frozen=True):
    """`test ? then : otherwise`."""

    test: Node
    then: Node
    otherwise: Node
    offset: int


class Call(Struct, frozen=True):
    """`function(arguments)`, or `target.function(arguments)`."""

    function: str
    target: Node | None
    arguments: tuple[Node, ...]
    offset: int


class Macro(Struct, frozen=True):
    """`target.kind(binder, body)`; a `map` may also have a condition: `map(binder, where, body)`.

    `binder` is a name in `where` and `body` only.
    """

    kind: MacroKind
    target: Node
    binder: str
    where: Node | None
    body: Node
    offset: int


class ListLiteral(Struct, frozen=True):
    """`[a, b]`."""

    items: tuple[Node, ...]
    offset: int


class RecordLiteral(Struct, frozen=True):
    """`{a: 1, "b": 2}`, in written order, without repeated names."""

    fields: tuple[tuple[str, Node], ...]
    offset: int


Node: TypeAlias = (
    Literal | Name | Field | Index | Unary | Binary | Conditional | Call | Macro | ListLiteral | RecordLiteral
)


def children(node: Node) -> tuple[Node, ...]:  # noqa: C901 - one case a kind of node
    """The nodes right below, in the order of the text."""
    match node:
        case Literal() | Name():
            return ()
        case Field():
            return (node.target,)
        case Index():
            return (node.target, node.key)
        case Unary():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case Conditional():
            return (node.test, node.then, node.otherwise)
        case Call():
            return node.arguments if node.target is None else (node.target, *node.arguments)
        case Macro():
            return (node.target, *((node.where,) if node.where else ()), node.body)
        case ListLiteral():
            return node.items
        case RecordLiteral():
            return tuple(of for _, of in node.fields)


def free_names(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[Name]:
    """Every `Name` that no macro inside `node` binds, in the order of the text, with repeats."""
    match node:
        case Name():
            if node.name not in bound:
                yield node
        case Macro():
            yield from free_names(node.target, bound)
            for part in children(node)[1:]:
                yield from free_names(part, bound | {node.binder})
        case _:
            for child in children(node):
                yield from free_names(child, bound)
