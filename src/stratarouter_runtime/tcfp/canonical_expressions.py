"""The canonical form of an expression: its syntax tree, with positions where names stood.

Spaces, brackets that change nothing and the spelling of literals are gone; a macro's binder
is the number of macros around it. Must never know types, or what stands at a position.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.tcfp.digests import Form, number
from stratarouter_runtime.tcfp.expressions import parse
from stratarouter_runtime.tcfp.expressions.syntax import (
    Binary,
    Call,
    Conditional,
    Field,
    Index,
    ListLiteral,
    Literal,
    Macro,
    Name,
    Node,
    RecordLiteral,
    Unary,
)


def expression_form(source: str, scope: Mapping[str, str]) -> Form:
    """The form of a valid expression; `scope` says what each name stands for.

    A node is an array of its operator and its parts; a literal is itself.
    """
    return _node(parse(source), scope, ())


def scalar_form(value: bool | float | str | bytes | None) -> Form:  # noqa: FBT001 - a value, not a switch
    """A scalar. A float is marked, as 1 and 1.0 are of different types; so are bytes and large ints."""
    match value:
        case float():
            return {"float": number(value)}
        case bytes():
            return {"bytes": b64encode(value).decode()}
        case int() if abs(value) > MAX_INTEGER:
            return {"int": str(value)}
        case _:
            return value


def _node(node: Node, scope: Mapping[str, str], binders: tuple[str, ...]) -> Form:
    match node:
        case Literal():
            return scalar_form(node.value)
        case Name():
            return ["name", _reference(node.name, scope, binders)]
        case Macro():
            return _macro(node, scope, binders)
        case RecordLiteral():
            return ["{}", {name: _node(of, scope, binders) for name, of in node.fields}]
        case Call():
            target = None if node.target is None else _node(node.target, scope, binders)
            arguments = [_node(argument, scope, binders) for argument in node.arguments]
            return ["call", node.function, target, *arguments]
        case _:
            operator, *parts = _parts(node)
            return [
                operator,
                *(part if isinstance(part, str) else _node(part, scope, binders) for part in parts),
            ]


def _parts(node: Field | Index | Unary | Binary | Conditional | ListLiteral) -> tuple[Any, ...]:
    match node:
        case Field():
            return ".", node.target, node.name
        case Index():
            return "[]", node.target, node.key
        case Unary():
            return node.operator, node.operand
        case Binary():
            return node.operator, node.left, node.right
        case Conditional():
            return "?", node.test, node.then, node.otherwise
        case ListLiteral():
            return "list", *node.items


def _macro(node: Macro, scope: Mapping[str, str], binders: tuple[str, ...]) -> Form:
    inner = (*binders, node.binder)
    where = None if node.where is None else _node(node.where, scope, inner)
    return [node.kind, _node(node.target, scope, binders), where, _node(node.body, scope, inner)]


def _reference(name: str, scope: Mapping[str, str], binders: tuple[str, ...]) -> str:
    for depth in reversed(range(len(binders))):
        if binders[depth] == name:
            return f"macro/{depth}"
    return scope.get(name, f"unknown/{name}")
