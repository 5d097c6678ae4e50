"""What a test proves about the values it reads: null or not, and which member of a union.

Facts are about access paths: a name and fields below it. Must never know code, and
reports nothing: a path that cannot be typed proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import select
from stratarouter_runtime.tcfp.expressions.scope import NO_FACTS, Facts, Path, Scope
from stratarouter_runtime.tcfp.expressions.syntax import Node
from stratarouter_runtime.tcfp.relations import comparable, is_never, is_null, join, options_of, without_null
from stratarouter_runtime.tcfp.types import NULL, EnumType, Type, enum

Key: TypeAlias = str | bool | None
"""What a value is compared with: a literal."""
_KEYS: Final = (str, bool, type(None))


def facts_of(node: Node, scope: Scope) -> tuple[Facts, Facts]:
    """What holds in `scope` when the bool `node` is true, and when it is false."""
    match node:
        case syntax.Unary(operator="!"):
            true, false = facts_of(node.operand, scope)
            return false, true
        case syntax.Binary(operator="&&"):
            true, _ = facts_of(node.left, scope)
            then, _ = facts_of(node.right, scope.narrow(true))
            return {**true, **then}, NO_FACTS
        case syntax.Binary(operator="||"):
            _, false = facts_of(node.left, scope)
            _, then = facts_of(node.right, scope.narrow(false))
            return NO_FACTS, {**false, **then}
        case syntax.Binary(operator="=="):
            return _facts_of_equality(node, scope)
        case syntax.Binary(operator="!="):
            equal, different = _facts_of_equality(node, scope)
            return different, equal
        case syntax.Name() | syntax.Field():
            return facts_when(node, True, scope), facts_when(node, False, scope)
        case _:
            return NO_FACTS, NO_FACTS


def _facts_of_equality(node: syntax.Binary, scope: Scope) -> tuple[Facts, Facts]:
    subject, key = (
        (node.right, node.left) if isinstance(node.left, syntax.Literal) else (node.left, node.right)
    )
    if not isinstance(key, syntax.Literal) or not isinstance(key.value, _KEYS):
        return NO_FACTS, NO_FACTS
    literal = key.value
    different = _facts(subject, scope, lambda of: _other_than(of, literal))
    return facts_when(subject, literal, scope), different


def facts_when(subject: Node, key: Key, scope: Scope) -> Facts:
    """What holds in `scope` when the value of `subject` equals `key`."""
    return _facts(subject, scope, lambda of: _equal_to(of, key))


def _facts(subject: Node, scope: Scope, narrow: Callable[[Type], Type]) -> Facts:
    """Narrows the type at the path of `subject`, and the union of records that it tags."""
    path = path_of(subject)
    type_ = path_type(path, scope)
    if path is None or type_ is None:
        return NO_FACTS
    facts: dict[Path, Type] = {}
    parent = path_type(path[:-1], scope) if len(path) > 1 else None
    if parent is not None and len(options_of(parent)) > 1:
        kept = [of for of in options_of(parent) if not is_never(narrow(select(of, path[-1]) or NULL))]
        if 0 < len(kept) < len(options_of(parent)):
            facts[path[:-1]] = join(*kept)
            type_ = select(facts[path[:-1]], path[-1]) or type_
    narrower = narrow(type_)
    if narrower != type_ and not is_never(narrower):
        facts[path] = narrower
    return facts


def path_of(node: Node) -> Path | None:
    """The access path that `node` spells, or None."""
    match node:
        case syntax.Name():
            return (node.name,)
        case syntax.Field():
            target = path_of(node.target)
            return (*target, node.name) if target else None
        case _:
            return None


def path_type(path: Path | None, scope: Scope) -> Type | None:
    """The type at `path` in `scope`, or None."""
    binding = scope.lookup(path[0]) if path else None
    type_ = binding.type if binding else None
    for name in path[1:] if path else ():
        type_ = select(type_, name) if type_ is not None else None
    return type_


def _equal_to(type_: Type, key: Key) -> Type:
    """The part of the type whose values can equal `key`."""
    if key is None:
        return join(*(of for of in options_of(type_) if is_null(of) or comparable(of, NULL)))
    if isinstance(key, bool):
        return without_null(type_)
    found = [of for of in options_of(type_) if comparable(of, enum([key]))]
    return join(*(EnumType((key,), of.labels) if isinstance(of, EnumType) else of for of in found))


def _other_than(type_: Type, key: Key) -> Type:
    """The type without those values that can only be `key`."""
    if key is None:
        return without_null(type_)
    if isinstance(key, bool):
        return type_
    kept: list[Type] = []
    for of in options_of(type_):
        if isinstance(of, EnumType):
            members = tuple(member for member in of.members if member != key)
            kept += [EnumType(members, of.labels)] if members else []
        else:
            kept.append(of)
    return join(*kept)
