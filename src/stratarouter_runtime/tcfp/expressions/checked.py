"""The typed tree: what the checker hands to the code generator.

Every choice that depends on types has been made: names are slots, operators are either
proven safe for the bare Python operator (`Operate`) or calls of the library (`Apply`).
Must never know syntax, scopes or how code is written.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp.types import BOOL, NEVER, UNKNOWN, Type, UnknownType

PythonOperator: TypeAlias = Literal["+", "-", "*", "==", "!=", "<", "<=", ">", ">=", "in", "is", "is not"]


class Constant(Struct, frozen=True):
    """A value known now. It may be any object that the library takes, such as a compiled pattern."""

    value: Any
    type: Type


class Slot(Struct, frozen=True):
    """A value of the environment."""

    depth: int
    index: int
    type: Type


class Local(Struct, frozen=True):
    """The item of the loop of that number."""

    number: int
    type: Type


class Select(Struct, frozen=True):
    """A field of a record: always there."""

    target: Typed
    name: str
    type: Type


class Apply(Struct, frozen=True):
    """A call of `library.<function>`. Arguments whose positions are `charged` are paid for first.

    `fails` says that it may raise for another reason than a bound; `budget` that the
    function counts visits itself, and takes the budget as its first argument.
    """

    function: str
    arguments: tuple[Typed, ...]
    type: Type
    fails: bool = True
    charged: tuple[int, ...] = ()
    budget: bool = False


class Operate(Struct, frozen=True):
    """A Python operator that cannot fail on these operands, and means there what CEL means."""

    operator: PythonOperator
    left: Typed
    right: Typed
    type: Type = BOOL


class Logic(Struct, frozen=True):
    """`&&` or `||`: an operand that fails is ignored where the other decides."""

    operator: Literal["and", "or"]
    left: Typed
    right: Typed
    type: Type


class Not(Struct, frozen=True):
    """The other bool."""

    operand: Typed
    type: Type


class Choose(Struct, frozen=True):
    """`then` where `test` is true, else `otherwise`; only the chosen one is evaluated."""

    test: Typed
    then: Typed
    otherwise: Typed
    type: Type


class Default(Struct, frozen=True):
    """`value`, or where it is null `otherwise`, evaluated only then."""

    value: Typed
    otherwise: Typed
    type: Type


class Listing(Struct, frozen=True):
    """A new list."""

    items: tuple[Typed, ...]
    type: Type


class Recording(Struct, frozen=True):
    """A new record or map."""

    fields: tuple[tuple[str, Typed], ...]
    type: Type


class Loop(Struct, frozen=True):
    """A macro: `body` for the items of a list, or the keys of a map in order; `where` filters a map."""

    kind: Literal["map", "filter", "all", "exists", "exists_one"]
    items: Typed
    over_map: bool
    number: int
    where: Typed | None
    body: Typed
    type: Type


Typed: TypeAlias = (
    Constant
    | Slot
    | Local
    | Select
    | Apply
    | Operate
    | Logic
    | Not
    | Choose
    | Default
    | Listing
    | Recording
    | Loop
)

UNTYPED: Constant = Constant(None, UNKNOWN)
"""Stands for what is already in error."""


def unreachable(*operands: Typed) -> Typed | None:
    """What an operation on operands in error, or on ones that have no values, is; None otherwise."""
    if any(isinstance(operand.type, UnknownType) for operand in operands):
        return UNTYPED
    if any(operand.type == NEVER for operand in operands):
        return Apply("unreachable", operands, NEVER)
    return None


def parts(node: Typed) -> tuple[Typed, ...]:  # noqa: C901 - one case a kind of node
    """The nodes right below."""
    match node:
        case Constant() | Slot() | Local():
            return ()
        case Select():
            return (node.target,)
        case Apply():
            return node.arguments
        case Operate() | Logic():
            return (node.left, node.right)
        case Not():
            return (node.operand,)
        case Choose():
            return (node.test, node.then, node.otherwise)
        case Default():
            return (node.value, node.otherwise)
        case Listing():
            return node.items
        case Recording():
            return tuple(of for _, of in node.fields)
        case Loop():
            return (node.items, node.body) if node.where is None else (node.items, node.where, node.body)


def fails(node: Typed) -> bool:
    """Whether evaluating the node may raise what `&&` and `||` absorb: not that a bound is exceeded."""
    return (isinstance(node, Apply) and node.fails) or any(fails(part) for part in parts(node))


def constant(node: Typed) -> bool:
    """Whether the node reads nothing of the environment."""
    return not isinstance(node, Slot) and all(constant(part) for part in parts(node))


def slots_of(node: Typed) -> frozenset[tuple[int, int]]:
    """What the node reads of the environment: (depth, index) of each slot."""
    found: set[tuple[int, int]] = set()
    _collect(node, found)
    return frozenset(found)


def _collect(node: Typed, found: set[tuple[int, int]]) -> None:
    if isinstance(node, Slot):
        found.add((node.depth, node.index))
    for part in parts(node):
        _collect(part, found)
