"""Names are bound once: step ids, binders and inputs, and the slots behind them.

Must never know what is bound.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.expressions import Scope
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.types import UNKNOWN, RecordType, Type
from stratarouter_runtime.tcfp.validation.context import Checking, Place

ERROR = "error"
"""What a handler calls the error unless told otherwise; an inner handler may hide an outer one's."""


def bind(check: Checking, place: Place, name: str, type_: Type, slot: int, at: Where) -> Scope:
    """The names of this place and one more, in `slot` of its frame.

    Where the name is taken (E302) it is of unknown type from there on: nobody can say
    which of the two is meant.
    """
    free = check_name(check, place, name, at)
    return place.scope.bind(name, type_ if free else UNKNOWN, place.frame.depth, slot)


def check_name(check: Checking, place: Place, name: str, at: Where) -> bool:
    """Whether the name may be bound here; E302 where it is taken."""
    found = place.scope.lookup(name)
    if found is None or (name == ERROR and _is_error(found.type)):
        return True
    check.add("E302", at, f"'{name}' is bound already", _advice(check, name))
    return False


def _is_error(type_: Type) -> bool:
    return isinstance(type_, RecordType) and [field for field, _ in type_.fields] == [
        "data",
        "kind",
        "message",
    ]


def _advice(check: Checking, name: str) -> str:
    if name == ERROR:
        return "it is what handlers call the error: name one of them otherwise (as:)"
    if name == "run":
        return "run is the record {id, seed, started}: choose another name"
    if any(name == known for known, _ in check.flow.input):
        return "it is an input: names are bound once, choose another"
    return "names are bound once: choose another"
