"""The checker: a syntax tree and a scope to a typed tree, with every mistake reported once.

What is in error has the unknown type, and nothing above it is reported for that again.
Must never know where the scope comes from, or how code is written.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.access import (
    CONVERT,
    as_map,
    check_field,
    check_index,
    elements,
    values,
)
from stratarouter_runtime.tcfp.expressions.calls import check_call
from stratarouter_runtime.tcfp.expressions.checked import (
    UNTYPED,
    Choose,
    Constant,
    Listing,
    Local,
    Loop,
    Recording,
    Slot,
    Typed,
    unreachable,
)
from stratarouter_runtime.tcfp.expressions.kinds import MIXED, kinds, labels, mixed_numbers, outer_labels
from stratarouter_runtime.tcfp.expressions.narrowing import facts_of
from stratarouter_runtime.tcfp.expressions.operators import check_binary, check_unary
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.expressions.scope import LOCAL, Scope
from stratarouter_runtime.tcfp.expressions.syntax import Node
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NULL,
    STRING,
    EnumType,
    ListType,
    Type,
    labelled,
    record,
    show,
)


def literal_type(value: bool | float | str | bytes | None) -> Type:  # noqa: FBT001 - a value, not a switch
    """The type of a scalar that is written down: of a string, the enum that has it as its only member."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return EnumType((value,))
        case bytes():
            return BYTES


class Checker:
    """Checks one expression. `first` numbers its first loop; locals of one code never share a number."""

    def __init__(self, report: Reporter, first: int = 0) -> None:
        self._report = report
        self.loops = first

    def check(self, node: Node, scope: Scope) -> Typed:  # noqa: C901 - one case a kind of node
        """The typed tree of `node` in `scope`."""
        match node:
            case syntax.Literal():
                return Constant(node.value, literal_type(node.value))
            case syntax.Name():
                return self._name(node, scope)
            case syntax.Field():
                return check_field(self._report, node, self.check(node.target, scope))
            case syntax.Index():
                target = self.check(node.target, scope)
                return check_index(self._report, node, target, self.check(node.key, scope))
            case syntax.Unary():
                return check_unary(self._report, node, self.check(node.operand, scope))
            case syntax.Binary():
                return self._binary(node, scope)
            case syntax.Conditional():
                return self._conditional(node, scope)
            case syntax.Call():
                given = tuple(self.check(part, scope) for part in syntax.children(node))
                return check_call(self._report, node, given)
            case syntax.Macro():
                return self._macro(node, scope)
            case syntax.ListLiteral():
                return self._list(node, scope)
            case syntax.RecordLiteral():
                return recording(tuple((name, self.check(of, scope)) for name, of in node.fields))

    def _name(self, node: syntax.Name, scope: Scope) -> Typed:
        found = scope.lookup(node.name)
        if found is None:
            names = list(scope.names())
            hint = did_you_mean(node.name, names) or (f"in scope: {', '.join(names[:8])}" if names else "")
            return self._report.add("E210", node.offset, f"no name '{node.name}' in scope", hint)
        if found.depth == LOCAL:
            return Local(found.index, found.type)
        return Slot(found.depth, found.index, found.type)

    def _binary(self, node: syntax.Binary, scope: Scope) -> Typed:
        if node.operator in ("&&", "||"):
            return self._logic(node, scope)
        left = self.check(node.left, scope)
        return check_binary(self._report, node, left, self.check(node.right, scope))

    def _logic(self, node: syntax.Binary, scope: Scope) -> Typed:
        """A run of one operator, from its first operand on: each sees what those before it prove."""
        run = [node]
        while isinstance(run[-1].left, syntax.Binary) and run[-1].left.operator == node.operator:
            run.append(run[-1].left)
        before = run[-1].left
        typed = self.check(before, scope)
        for step in reversed(run):
            true, false = facts_of(before, scope)
            scope = scope.narrow(true if node.operator == "&&" else false)
            typed = check_binary(self._report, step, typed, self.check(step.right, scope))
            before = step.right
        return typed

    def _conditional(self, node: syntax.Conditional, scope: Scope) -> Typed:
        test = self.check(node.test, scope)
        true, false = facts_of(node.test, scope)
        then = self.check(node.then, scope.narrow(true))
        otherwise = self.check(node.otherwise, scope.narrow(false))
        stop = unreachable(test) or self._report.no_null(node.offset, ((node.test, test),))
        if stop:
            return stop
        if kinds(test.type) != {"bool"}:
            return self._report.add("E213", node.test.offset, f"? needs a bool, not {show(test.type)}")
        if mixed_numbers(then.type, otherwise.type):
            message = f"no {show(then.type)} or {show(otherwise.type)}"
            return self._report.add("E213", node.offset, message, MIXED)
        return Choose(test, then, otherwise, join(then.type, otherwise.type))

    def _list(self, node: syntax.ListLiteral, scope: Scope) -> Typed:
        items = tuple(self.check(item, scope) for item in node.items)
        for item, written in zip(items, node.items, strict=True):
            if mixed_numbers(items[0].type, item.type):
                message = f"no list of {show(items[0].type)} and {show(item.type)}"
                return self._report.add("E213", written.offset, message, MIXED)
        return listing(items)

    def _macro(self, node: syntax.Macro, scope: Scope) -> Typed:
        items = as_map(self.check(node.target, scope))
        stop = unreachable(items) or self._report.no_null(node.offset, ((node.target, items),))
        item = self._item(items.type)
        if stop is None and item is None:
            hint = CONVERT if "json" in kinds(items.type) else ""
            stop = self._report.add("E215", node.offset, f"{show(items.type)} is neither list nor map", hint)
        if stop or item is None:
            return stop or UNTYPED
        number = self.loops
        self.loops += 1
        inner = scope.bind(node.binder, item, LOCAL, number)
        where = None if node.where is None else self.check(node.where, inner)
        if where is not None and node.where is not None:
            inner = inner.narrow(facts_of(node.where, inner)[0])
        body = self.check(node.body, inner)
        tests = [(where, node.where)] if node.kind == "map" else [(body, node.body)]
        for typed, written in tests:
            wrong = typed and written and self._test(node, typed, written)
            if wrong:
                return wrong
        return self._loop(node, items, item, number, where, body)

    def _item(self, type_: Type) -> Type | None:
        """What the binder of a macro stands for: an element, or a key."""
        if values(type_) is not None:
            return labelled(STRING, type_.labels)
        return elements(type_)

    def _test(self, node: syntax.Macro, typed: Typed, written: Node) -> Typed | None:
        """The test of a macro must be a bool; None where it is."""
        stop = unreachable(typed)
        if stop:
            return stop if isinstance(stop, Constant) else None
        null = self._report.no_null(written.offset, ((written, typed),))
        if null or kinds(typed.type) == {"bool"}:
            return null
        return self._report.add("E219", written.offset, f"{node.kind} tests a bool, not {show(typed.type)}")

    def _loop(
        self, node: syntax.Macro, items: Typed, item: Type, number: int, where: Typed | None, body: Typed
    ) -> Typed:
        over_map = values(items.type) is not None
        stop = unreachable(body)
        if isinstance(stop, Constant):
            return stop
        carried = outer_labels(items.type)
        match node.kind:
            case "map":
                type_: Type = ListType(body.type, carried)
            case "filter":
                narrowed = item if over_map else self._kept(node, item)
                type_ = ListType(narrowed, carried)
            case _:
                type_ = labelled(BOOL, carried | labels(body))
        return Loop(node.kind, items, over_map, number, where, body, type_)

    def _kept(self, node: syntax.Macro, item: Type) -> Type:
        """The type of the elements for which the test of a filter holds."""
        scope = Scope().bind(node.binder, item, LOCAL, 0)
        found = scope.narrow(facts_of(node.body, scope)[0]).lookup(node.binder)
        return item if found is None else found.type


def listing(items: tuple[Typed, ...]) -> Typed:
    """A list of these; a constant where they all are."""
    type_ = ListType(join(*(item.type for item in items)))
    if all(isinstance(item, Constant) for item in items):
        return Constant([item.value for item in items if isinstance(item, Constant)], type_)
    return Listing(items, type_)


def recording(fields: tuple[tuple[str, Typed], ...]) -> Typed:
    """A record of these; a constant where they all are."""
    type_ = record({name: of.type for name, of in fields})
    if all(isinstance(of, Constant) for _, of in fields):
        return Constant({name: of.value for name, of in fields if isinstance(of, Constant)}, type_)
    return Recording(fields, type_)
