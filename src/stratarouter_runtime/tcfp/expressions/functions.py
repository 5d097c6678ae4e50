"""The closed set of functions: their typed signatures, in one table.

A signature speaks of types without labels; the result gets the labels of the arguments,
save where elements of a list pass through, which keep their own. Must never know syntax
or positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp.expressions.access import elements
from stratarouter_runtime.tcfp.expressions.kinds import kinds, outer_labels
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.types import BOOL, FLOAT, INT, NEVER, STRING, ListType, Type, labelled

Arguments: TypeAlias = tuple[Type, ...]
Form: TypeAlias = Literal["method", "function", "either"]


class Parameter(Struct, frozen=True):
    """What an argument must be: how messages call it, and which kinds of value are accepted.

    `items` are the kinds its elements may have, where it is a list; empty: any.
    """

    shown: str
    kinds: frozenset[str]
    items: frozenset[str] = frozenset()

    def accepts(self, type_: Type) -> bool:
        """Whether every value of the type is of these kinds."""
        if not kinds(type_) <= self.kinds:
            return False
        item = elements(type_)
        return not self.items or item is None or kinds(item) <= self.items | {"never"}


class Signature(Struct, frozen=True):
    """One way to call a function. The receiver of a method is its first parameter.

    `run` names the function of the library; the last `optional` parameters may be left
    out; `charged` lists are paid for by their length, `budget` functions pay themselves.
    """

    form: Form
    parameters: tuple[Parameter, ...]
    result: Callable[[Arguments], Type]
    run: str
    optional: int = 0
    fails: bool = False
    charged: tuple[int, ...] = ()
    budget: bool = False

    def shown(self, name: str) -> str:
        """`string.split(string, int?)`."""
        first_optional = len(self.parameters) - self.optional
        words = [of.shown + ("?" if i >= first_optional else "") for i, of in enumerate(self.parameters)]
        if self.form == "function":
            return f"{name}({', '.join(words)})"
        return f"{words[0]}.{name}({', '.join(words[1:])})"


def _kind(shown: str, *names: str, items: tuple[str, ...] = ()) -> Parameter:
    return Parameter(shown, frozenset(names), frozenset(items))


_STRING = _kind("string", "string")
_INT = _kind("int", "int")
_LIST = _kind("list", "list")
_NESTED = _kind("list<list>", "list", items=("list",))
_TEXTS = _kind("list<string>", "list", items=("string",))


def _gather(result: Type) -> Callable[[Arguments], Type]:
    """The result carries what any argument carries."""
    return lambda given: labelled(result, frozenset().union(*(labels_of(of) for of in given)))


def _size(given: Arguments) -> Type:
    """A size tells of the list or string, not of what the elements hold."""
    return labelled(INT, outer_labels(given[0]))


def _same(given: Arguments) -> Type:
    return given[0]


def _item(given: Arguments) -> Type:
    return elements(given[0]) or NEVER


def _flat(given: Arguments) -> Type:
    inner = elements(given[0]) or NEVER
    return ListType(elements(inner) or NEVER, outer_labels(given[0]))


def _string(name: str, run: str, result: Type, *rest: Parameter, **more: bool | int) -> tuple[str, Signature]:
    return name, Signature("method", (_STRING, *rest), _gather(result), run, **more)  # type: ignore[arg-type]  # `more` are fields of Signature


def _list_of(kind: str) -> Parameter:
    return _kind(f"list<{kind}>", "list", items=(kind,))


def _total(given: Arguments) -> Type:
    """The sum of no elements is the int 0."""
    item = _item(given)
    return labelled(INT, outer_labels(given[0])) if item == NEVER else item


def _ordered_lists(run: str, result: Callable[[Arguments], Type]) -> tuple[Signature, ...]:
    """One signature a kind that has an order: mixed lists have none."""
    return tuple(
        Signature("method", (_list_of(kind),), result, run, fails=True, charged=(0,))
        for kind in ("int", "float", "string", "bool", "time", "bytes")
    )


_SIZED = _kind("string | bytes | list | map", "string", "bytes", "list", "map")
_SCALAR = _kind("bool | int | float | string | bytes | time | duration",
                "bool", "int", "float", "string", "bytes", "time", "duration")  # fmt: skip

_METHODS: Final = (
    _string("contains", "contains", BOOL, _STRING),
    _string("startsWith", "starts_with", BOOL, _STRING),
    _string("endsWith", "ends_with", BOOL, _STRING),
    _string("lowerAscii", "lower_ascii", STRING),
    _string("upperAscii", "upper_ascii", STRING),
    _string("trim", "trim", STRING),
    _string("split", "split", ListType(STRING), _STRING, _INT, optional=1, budget=True),
    _string("replace", "replace", STRING, _STRING, _STRING, _INT, optional=1, fails=True),
    _string("substring", "substring", STRING, _INT, _INT, optional=1, fails=True),
)

FUNCTIONS: Final[Mapping[str, tuple[Signature, ...]]] = {
    **{name: (signature,) for name, signature in _METHODS},
    "size": (Signature("either", (_SIZED,), _size, "size"),),
    "matches": (Signature("either", (_STRING, _kind("literal pattern", "string")), _gather(BOOL), "matches"),),
    "int": (Signature("function", (_kind("int | float | string", "int", "float", "string"),),
                      _gather(INT), "to_int", fails=True),),
    "double": (Signature("function", (_kind("int | float | string", "int", "float", "string"),),
                         _gather(FLOAT), "to_float", fails=True),),
    "string": (Signature("function", (_SCALAR,), _gather(STRING), "to_string", fails=True),),
    "join": (Signature("method", (_TEXTS, _STRING), _gather(STRING), "join",
                       optional=1, fails=True, charged=(0,)),),
    "sum": (
        Signature("method", (_list_of("int"),), _total, "sum_ints", fails=True, charged=(0,)),
        Signature("method", (_list_of("float"),), _total, "sum_floats", charged=(0,)),
    ),
    "min": _ordered_lists("least", _item),
    "max": _ordered_lists("greatest", _item),
    "sort": _ordered_lists("sort", _same),
    "distinct": (Signature("method", (_LIST,), _same, "distinct", budget=True),),
    "flatten": (Signature("method", (_NESTED,), _flat, "flatten", budget=True),),
    "slice": (Signature("method", (_LIST, _INT, _INT), _same, "slice_", optional=1, fails=True, charged=(0,)),),
}  # fmt: skip
"""All functions but `orValue`, whose default is evaluated only where it is needed."""
