"""The typed tree to one Python code object: `lambda e: …` over the environment.

The code is written as text and compiled, which takes half the time of building the same
syntax tree as objects. Nothing of a flow reaches the text but literals, by `repr`:
names have become slots, and functions are those of the library. Must never know types
beyond what the typed tree has decided, or where the source came from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from stratarouter_runtime.tcfp.expressions import library, lists, moments, strings
from stratarouter_runtime.tcfp.expressions.checked import (
    Apply,
    Choose,
    Constant,
    Default,
    Listing,
    Local,
    Logic,
    Loop,
    Not,
    Operate,
    Recording,
    Select,
    Slot,
    Typed,
    fails,
)
from stratarouter_runtime.tcfp.expressions.kinds import kinds
from stratarouter_runtime.tcfp.times import duration_micros

Run = Callable[[Any], Any]

_BUDGETED: Final = ("lambda e: (lambda b: ", f")([{library.MAX_VISITS}])")
_FREE: Final = 16
"""So many texts may be worked on without counting: none is larger than an expression may give."""
_READING: Final = frozenset(
    {"contains", "starts_with", "ends_with", "matches", "lower_ascii", "upper_ascii", "trim", "split", "replace",
     "substring", "to_int", "to_float", "to_string", "concat", "concat_bytes", "plain_member"}
)  # fmt: skip
"""What goes over its texts from end to end."""
_TEXTS: Final = frozenset({"string", "bytes"})
_WRITTEN: Final = (bool, int, str, bytes)
_GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {"len": len, "any": any, "all": all, "sum": sum, "float": float},
    "size": len,
    "contains": str.__contains__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "duration_micros": duration_micros,
} | {
    name: function
    for module in (library, lists, moments, strings)
    for name, function in vars(module).items()
    if callable(function) and getattr(function, "__module__", "") == module.__name__ and name[0] != "_"
}


class TooDeep(Exception):
    """Python's compiler cannot take code nested this deep."""


def generate(node: Typed) -> Run:
    """The function from the environment to the value of `node`. Raises `TooDeep`."""
    writer = _Writer()
    text = writer.result(node)
    if writer.unpaid > _FREE:
        writer = _Writer(paying=True)
        text = writer.result(node)
    before, after = _BUDGETED if writer.counts else ("lambda e: ", "")
    if not writer.constants:
        return _compiled(before + text + after)
    make = _compiled("lambda k: " + before + text + after)
    run: Run = make(tuple(writer.constants))
    return run


@lru_cache(maxsize=2048)
def _compiled(text: str) -> Run:
    try:
        run: Run = eval(compile(text, "<expression>", "eval"), _GLOBALS)  # noqa: S307 - see the module's docstring
    except (SyntaxError, RecursionError, MemoryError) as problem:
        raise TooDeep from problem
    return run


class _Writer:
    """Writes Python; constants that have no literal form are collected, and read as `k[i]`.

    `counts` tells afterwards whether the code visits lists, and so needs a budget, `b`, and
    `unpaid` how many texts it works on for nothing. Inside of loops, or all if `paying`, are paid for.
    """

    def __init__(self, *, paying: bool = False) -> None:
        self.constants: list[Any] = []
        self.counts = False
        self.unpaid = 0
        self._paying = paying
        self._failing: dict[int, bool] = {}

    def result(self, node: Typed) -> str:
        """The text of a whole expression: a result that is built out of others is held to the limit."""
        text = self.write(node)
        return f"bounded({text})" if _builds(node) else text

    def write(self, node: Typed) -> str:  # noqa: C901, PLR0912 - one case a kind of node
        match node:
            case Constant():
                return self._constant(node.value)
            case Slot():
                return f"e[{node.depth}][{node.index}]"
            case Local():
                return f"v{node.number}"
            case Select():
                return f"{self.write(node.target)}[{node.name!r}]"
            case Apply():
                return self._apply(node)
            case Operate():
                return self._operate(node)
            case Logic():
                return self._logic(node)
            case Not():
                return f"(not {self.write(node.operand)})"
            case Choose():
                test, then, otherwise = map(self.write, (node.test, node.then, node.otherwise))
                return f"({then} if {test} else {otherwise})"
            case Default():
                return self._default(node)
            case Listing():
                return f"[{', '.join(map(self.write, node.items))}]"
            case Recording():
                return f"{{{', '.join(f'{name!r}: {self.write(of)}' for name, of in node.fields)}}}"
            case Loop():
                return self._loop(node)

    def _constant(self, value: Any) -> str:
        if value is None or isinstance(value, _WRITTEN):
            return repr(value) if not isinstance(value, int) or value >= 0 else f"({value!r})"
        if isinstance(value, float) and value - value == 0:
            return f"({value!r})"
        self.constants.append(value)
        return f"k[{len(self.constants) - 1}]"

    def _apply(self, node: Apply) -> str:
        self.counts = self.counts or node.budget or bool(node.charged)
        reads = node.function in _READING
        written = [
            f"charge(b, {self.write(of)})"
            if i in node.charged
            else self._read(of)
            if reads
            else self.write(of)
            for i, of in enumerate(node.arguments)
        ]
        if node.budget:
            written.insert(0, "b")
        if node.function == "contains":
            return f"({written[1]} in {written[0]})"
        call = f"{node.function}({', '.join(written)})"
        return f"read(b, {call})" if node.function == "join" else call

    def _operate(self, node: Operate) -> str:
        left = self._read(node.left) if self._compares_texts(node) else self.write(node.left)
        return f"({left} {node.operator} {self.write(node.right)})"

    def _compares_texts(self, node: Operate) -> bool:
        """Whether two texts of any length are compared; a constant is short, and ends it early."""
        either = (node.left, node.right)
        return self._paying and all(
            not isinstance(of, Constant) and not _TEXTS.isdisjoint(kinds(of.type)) for of in either
        )

    def _read(self, node: Typed) -> str:
        """A value that may be a text, paid for by its length where that has to be."""
        if isinstance(node, Constant) or _TEXTS.isdisjoint(kinds(node.type)):
            return self.write(node)
        if not self._paying:
            self.unpaid += 1
            return self.write(node)
        self.counts = True
        return f"read(b, {self.write(node)})"

    def _logic(self, node: Logic) -> str:
        """Where the left cannot fail, Python's own operator absorbs as CEL's does."""
        left, right = self.write(node.left), self.write(node.right)
        if not self._fails(node.left):
            return f"({left} {node.operator} {right})"
        function = "both" if node.operator == "and" else "either"
        return f"{function}(lambda: {left}, lambda: {right})"

    def _fails(self, node: Typed) -> bool:
        """`fails`, asked once a node of a run of logic."""
        if not isinstance(node, Logic):
            return fails(node)
        known = self._failing.get(id(node))
        if known is None:
            known = self._failing[id(node)] = self._fails(node.left) or self._fails(node.right)
        return known

    def _default(self, node: Default) -> str:
        value, otherwise = self.write(node.value), self.write(node.otherwise)
        if _is_path(node.value):
            return f"({otherwise} if {value} is None else {value})"
        return f"or_value({value}, lambda: {otherwise})"

    def _loop(self, node: Loop) -> str:
        self.counts = True
        item = f"v{node.number}"
        items = f"{'keys' if node.over_map else 'charge'}(b, {self.write(node.items)})"
        around, self._paying = self._paying, True
        body = self.write(node.body)
        where = "" if node.where is None else f" if {self.write(node.where)}"
        self._paying = around
        match node.kind:
            case "map":
                return f"[{body} for {item} in {items}{where}]"
            case "filter":
                return f"[{item} for {item} in {items} if {body}]"
            case "exists_one":
                return f"(sum([1 for {item} in {items} if {body}]) == 1)"
            case "all" | "exists":
                if not fails(node.body):
                    return f"{'all' if node.kind == 'all' else 'any'}({body} for {item} in {items})"
                return f"{'every' if node.kind == 'all' else 'some'}({items}, lambda {item}: {body})"


def _is_path(node: Typed) -> bool:
    """Whether evaluating the node twice costs less than a call."""
    while isinstance(node, Select):
        node = node.target
    return isinstance(node, Slot | Local)


_SELECTS: Final = frozenset({"at", "get", "least", "greatest", "sort", "distinct", "slice_"})


def _builds(node: Typed) -> bool:
    """Whether the result may be larger than what it is made of: then it has to be measured."""
    match node:
        case Listing() | Recording():
            return True
        case Loop():
            return node.kind == "map"
        case Apply():
            return node.function in ("concat_lists", "flatten", "split") or (
                node.function in _SELECTS and _builds(node.arguments[0])
            )
        case Choose():
            return _builds(node.then) or _builds(node.otherwise)
        case Default():
            return _builds(node.value) or _builds(node.otherwise)
        case Select():
            return _builds(node.target)
        case _:
            return False
