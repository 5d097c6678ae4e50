"""Names are bound once: step ids, binders and inputs, and the slots behind them.

Must never know what is bound.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.validation.context import Checking, Place

ERROR = "error"
"""What a handler calls the error unless told otherwise; an inner handler may hide an outer one's."""


def check_name(check: Checking, place: Place, name: str, at: Where) -> None:
    """E302 where the name is taken at this place."""
    if name != ERROR and place.scope.lookup(name) is not None:
        check.add("E302", at, f"'{name}' is bound already", _advice(check, name))


def _advice(check: Checking, name: str) -> str:
    if name == "run":
        return "run is the record {id, seed, started}: choose another name"
    if any(name == known for known, _ in check.flow.input):
        return "it is an input: names are bound once, choose another"
    return "names are bound once: choose another"
