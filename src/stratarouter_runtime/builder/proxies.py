"""Stand-ins for values that exist only when a flow runs: using one writes an expression.

What Python would decide at once, and so wrongly (truth, iteration, hashing, text), is
refused with advice. Must never know steps.
"""

from __future__ import annotations

from inspect import signature
from typing import Any, Final, NoReturn

from typing_extensions import override

from stratarouter_runtime.builder import literals
from stratarouter_runtime.builder.naming import fresh
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.types import ListType, MapType, RecordType, Type, show

# How tightly operators bind, from the loosest.
CHOICE: Final = 0
OR: Final = 1
AND: Final = 2
RELATION: Final = 3
SUM: Final = 4
PRODUCT: Final = 5
UNARY: Final = 6
MEMBER: Final = 7

MACROS: Final = frozenset({"map", "filter", "all", "exists", "exists_one"})
_PYTHON_NAMES: Final = {
    "startswith": "startsWith",
    "endswith": "endsWith",
    "lower": "lowerAscii",
    "upper": "upperAscii",
    "strip": "trim",
    "or_value": "orValue",
}


class Proxy:
    """An expression under construction: its text, how tightly it binds, its type where known."""

    __slots__ = ("_member", "_source", "_strength", "_type")

    def __init__(
        self,
        source: str,
        strength: int = MEMBER,
        type_: Type | None = None,
        member: tuple[Proxy, str] | None = None,
    ) -> None:
        self._source = source
        self._strength = strength
        self._type = type_
        self._member = member

    @override
    def __repr__(self) -> str:
        return f"<expression {self._source}>"

    # Access and calls.

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Proxy(f"{text(self, MEMBER)}.{name}", MEMBER, _field(self, name), (self, name))

    def __getitem__(self, key: Any) -> Any:
        of = self._type
        if isinstance(key, str) and literals.is_name(key) and not isinstance(of, MapType):
            return getattr(self, key)
        found = of.item if isinstance(of, ListType) else of.value if isinstance(of, MapType) else None
        return Proxy(f"{text(self, MEMBER)}[{text(key)}]", MEMBER, found)

    def __call__(self, *arguments: Any) -> Any:
        """Call what was accessed last as a function of the language: `names.contains("x")`."""
        if self._member is None:
            raise InvalidFlow(f"{self._source} is no function", hint="call a function of a value: x.size()")
        target, name = self._member
        return apply(_PYTHON_NAMES.get(name, name), target, *arguments)

    # Operators.

    def __add__(self, other: object) -> Any:
        return binary(self, "+", other, SUM)

    def __radd__(self, other: object) -> Any:
        return binary(other, "+", self, SUM)

    def __sub__(self, other: object) -> Any:
        return binary(self, "-", other, SUM)

    def __rsub__(self, other: object) -> Any:
        return binary(other, "-", self, SUM)

    def __mul__(self, other: object) -> Any:
        return binary(self, "*", other, PRODUCT)

    def __rmul__(self, other: object) -> Any:
        return binary(other, "*", self, PRODUCT)

    def __truediv__(self, other: object) -> Any:
        return binary(self, "/", other, PRODUCT)

    def __rtruediv__(self, other: object) -> Any:
        return binary(other, "/", self, PRODUCT)

    def __mod__(self, other: object) -> Any:
        return binary(self, "%", other, PRODUCT)

    def __rmod__(self, other: object) -> Any:
        return binary(other, "%", self, PRODUCT)

    def __neg__(self) -> Any:
        return Proxy(f"-{text(self, UNARY)}", UNARY)

    def __invert__(self) -> Any:
        return Proxy(f"!{text(self, UNARY)}", UNARY)

    def __and__(self, other: object) -> Any:
        return binary(self, "&&", other, AND)

    def __rand__(self, other: object) -> Any:
        return binary(other, "&&", self, AND)

    def __or__(self, other: object) -> Any:
        return binary(self, "||", other, OR)

    def __ror__(self, other: object) -> Any:
        return binary(other, "||", self, OR)

    @override
    def __eq__(self, other: object) -> Any:
        return binary(self, "==", other, RELATION)

    @override
    def __ne__(self, other: object) -> Any:
        return binary(self, "!=", other, RELATION)

    def __lt__(self, other: object) -> Any:
        return binary(self, "<", other, RELATION)

    def __le__(self, other: object) -> Any:
        return binary(self, "<=", other, RELATION)

    def __gt__(self, other: object) -> Any:
        return binary(self, ">", other, RELATION)

    def __ge__(self, other: object) -> Any:
        return binary(self, ">=", other, RELATION)

    # What Python would decide at once.

    def __bool__(self) -> NoReturn:
        hint = "write & | ~ for and, or, not; choose(), match() or if_= where Python has if"
        raise self._unknown("whether it is true", hint)

    def __iter__(self) -> NoReturn:
        raise self._unknown("what it holds", "use each(), or .map(lambda x: …) in an expression")

    def __contains__(self, item: object) -> NoReturn:
        raise self._unknown("what it holds", "use fn.contains(values, item)")

    def __len__(self) -> NoReturn:
        raise self._unknown("how long it is", "use fn.size(value)")

    @override
    def __hash__(self) -> NoReturn:
        raise self._unknown("its hash", "it cannot be a key of a dict or a member of a set")

    @override
    def __str__(self) -> NoReturn:
        raise self._unknown("its text", "build text with +, and fn.string(value) for what is no string")

    @override
    def __format__(self, spec: str) -> NoReturn:
        raise self._unknown("its text", "build text with +, as f-strings are filled in at once")

    def _unknown(self, what: str, hint: str) -> InvalidFlow:
        return InvalidFlow(f"{what} is known only when the flow runs: {self._source}", hint=hint)


def source_of(proxy: Proxy) -> str:
    """The expression that a proxy stands for."""
    return proxy._source  # noqa: SLF001 - public attributes of proxies are fields of values


def known_type(value: object) -> Type | None:
    """The type of a proxy where it is known."""
    return value._type if isinstance(value, Proxy) else None  # noqa: SLF001 - likewise


def text(value: object, strength: int = CHOICE) -> str:
    """The source of a proxy or constant, in brackets where it binds looser than `strength`."""
    if not isinstance(value, Proxy):
        return literals.source(value, text)
    return value._source if value._strength >= strength else f"({value._source})"  # noqa: SLF001 - likewise


def binary(left: object, operator: str, right: object, strength: int) -> Proxy:
    """`left operator right`; operators of one strength group from the left."""
    return Proxy(f"{text(left, strength)} {operator} {text(right, strength + 1)}", strength)


def apply(name: str, target: object, *arguments: object) -> Proxy:
    """`target.name(arguments)`; a macro takes a Python function of one element."""
    receiver = text(target, MEMBER)
    if name not in MACROS:
        return Proxy(f"{receiver}.{name}({', '.join(text(argument) for argument in arguments)})")
    if not arguments or not all(callable(part) and not isinstance(part, Proxy) for part in arguments):
        raise InvalidFlow(f"{name} takes a function of one element", hint=f"write .{name}(lambda x: …)")
    of = known_type(target)
    return Proxy(f"{receiver}.{name}({_macro(arguments, of.item if isinstance(of, ListType) else None)})")


def _macro(functions: tuple[Any, ...], item: Type | None) -> str:
    binder = fresh(next(iter(signature(functions[0]).parameters), "x"))
    parts = [text(function(Proxy(binder, MEMBER, item))) for function in functions]
    return ", ".join([binder, *parts])


def _field(proxy: Proxy, name: str) -> Type | None:
    of = known_type(proxy)
    if not isinstance(of, RecordType):
        return None
    found = of.field(name)
    if found is None:
        names = [field for field, _ in of.fields]
        raise InvalidFlow(
            f"no field '{name}' in {show(of)}: {source_of(proxy)}.{name}", hint=did_you_mean(name, names)
        )
    return found
