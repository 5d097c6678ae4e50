"""Values of a flow to code: the one entry for whoever checks a flow.

A value is YAML data with expressions in it; whatever its size, it becomes one code
object. Must never know steps, or plans beyond `Code`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions.checked import Constant, Recording, Typed, slots_of
from stratarouter_runtime.tcfp.expressions.checker import Checker, listing, literal_type, recording
from stratarouter_runtime.tcfp.expressions.codegen import TooDeep, generate
from stratarouter_runtime.tcfp.expressions.lexer import SyntaxProblem
from stratarouter_runtime.tcfp.expressions.library import ExpressionFailed
from stratarouter_runtime.tcfp.expressions.narrowing import facts_of, facts_when
from stratarouter_runtime.tcfp.expressions.parser import parse
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.expressions.scope import NO_FACTS, Facts, Scope
from stratarouter_runtime.tcfp.expressions.syntax import Node
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.relations import join, options_of
from stratarouter_runtime.tcfp.types import UNKNOWN, ListType, MapType, RecordType, Type, UnknownType


def compile_value(
    value: ir.Value, scope: Scope, diagnostics: Diagnostics, expected: Type | None = None
) -> Code:
    """The value as one code object, with its type.

    Mistakes go to `diagnostics` and give a code of unknown type, which fails when run.
    `expected` is what the place wants: it only helps written data (a mapping written
    where a map is wanted is a map); whether the type fits is the caller's to check.
    """
    builder = _Builder(scope, diagnostics)
    typed = builder.build(value, expected)
    source = _source(value)
    if builder.failed or isinstance(typed.type, UnknownType):
        return _broken(source)
    try:
        run = generate(typed)
    except TooDeep:
        diagnostics.add(
            "E204", value.at, "nested too deep to be compiled", "name the inner part in a let step"
        )
        return _broken(source)
    code = Code(source, typed.type, run, constant=isinstance(typed, Constant), reads=slots_of(typed))
    return _folded(code, typed)


def value_type(value: ir.Value, scope: Scope, expected: Type | None = None) -> Type:
    """The type alone; unknown where the value has mistakes, which are told to nobody."""
    builder = _Builder(scope, Diagnostics())
    type_ = builder.build(value, expected).type
    return UNKNOWN if builder.failed else type_


def _folded(code: Code, typed: Typed) -> Code:
    """What reads nothing of the environment is evaluated once, unless it fails: then it fails when run."""
    if code.reads:
        return code
    try:
        value = typed.value if isinstance(typed, Constant) else code.run(())
    except ExpressionFailed:
        return code
    return Code(code.source, code.type, _always(value), constant=True)


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _broken(source: str) -> Code:
    def run(_: object) -> Any:
        raise ExpressionFailed(f"has mistakes: {source}")

    return Code(source, UNKNOWN, run)


class _Builder:
    """Checks the expressions of one value, and puts their typed trees together."""

    def __init__(self, scope: Scope, diagnostics: Diagnostics) -> None:
        self._scope = scope
        self._diagnostics = diagnostics
        self._loops = 0
        self.failed = False

    def build(self, value: ir.Value, expected: Type | None) -> Typed:
        match value:
            case ir.Constant():
                return Constant(value.data, literal_type(value.data))
            case ir.Expression():
                return _as(self._expression(value), expected)
            case ir.ListValue():
                item = _part(expected, ListType, lambda of: of.item)
                return listing(tuple(self.build(of, item) for of in value.items))
            case ir.RecordValue():
                return _as(recording(tuple(self._fields(value, expected))), expected)

    def _fields(self, value: ir.RecordValue, expected: Type | None) -> list[tuple[str, Typed]]:
        of_map = _part(expected, MapType, lambda of: of.value)
        fields: list[tuple[str, Typed]] = []
        for name, of in value.fields:
            wanted = of_map or _field(expected, name)
            fields.append((name, self.build(of, wanted)))
        return fields

    def _expression(self, value: ir.Expression) -> Typed:
        report = Reporter(self._diagnostics, value.source, value.at)
        try:
            tree = parse(value.source)
        except SyntaxProblem as problem:
            self.failed = True
            return report.add(problem.code, problem.offset, problem.message, problem.hint)
        checker = Checker(report, self._loops)
        typed = checker.check(tree, self._scope)
        self._loops = checker.loops
        self.failed = self.failed or report.failed
        return typed


def _part(expected: Type | None, kind: type[Any], part: Callable[[Any], Type | None]) -> Type | None:
    """What is expected below, where what is expected here is (or null or) exactly one type of `kind`."""
    options = [of for of in options_of(expected) if isinstance(of, kind)] if expected else []
    return part(options[0]) if len(options) == 1 else None


def _field(expected: Type | None, name: str) -> Type | None:
    return _part(expected, RecordType, lambda of: of.field(name))


def _as(typed: Typed, expected: Type | None) -> Typed:
    """A written record as a map, where only a map is wanted."""
    if expected is None or not isinstance(typed.type, RecordType):
        return typed
    kinds = {type(of) for of in options_of(expected)}
    if MapType not in kinds or RecordType in kinds or not isinstance(typed, Constant | Recording):
        return typed
    type_ = MapType(join(*(of for _, of in typed.type.fields)))
    return Recording(typed.fields, type_) if isinstance(typed, Recording) else Constant(typed.value, type_)


def narrowing(value: ir.Value, scope: Scope) -> tuple[Facts, Facts]:
    """What is known of the names in scope when `value` is true, and when it is false."""
    tree = _tree(value)
    return (NO_FACTS, NO_FACTS) if tree is None else facts_of(tree, scope)


def narrowing_to(value: ir.Value, label: str | bool | None, scope: Scope) -> Facts:  # noqa: FBT001 - a value
    """What is known of the names in scope when `value` equals `label`: for the arm of a match."""
    tree = _tree(value)
    return NO_FACTS if tree is None else facts_when(tree, label, scope)


def _tree(value: ir.Value) -> Node | None:
    if not isinstance(value, ir.Expression):
        return None
    try:
        return parse(value.source)
    except SyntaxProblem:
        return None


def _source(value: ir.Value) -> str:
    """The value as a flow would write it, on one line: for messages."""
    match value:
        case ir.Constant():
            return msgspec.json.encode(value.data).decode()
        case ir.Expression():
            return value.source
        case ir.ListValue():
            return f"[{', '.join(map(_source, value.items))}]"
        case ir.RecordValue():
            return f"{{{', '.join(f'{name}: {_source(of)}' for name, of in value.fields)}}}"
