"""The eight modifiers of a step, and the recording of one.

Must never know operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct
from typing_extensions import TypedDict

from stratarouter_runtime.builder.naming import TAKEN, fresh
from stratarouter_runtime.builder.proxies import Proxy
from stratarouter_runtime.builder.quantities import Span, kinds, micros
from stratarouter_runtime.builder.recording import body, building, here, value
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.types import Type


class Handler(Struct, frozen=True):
    """A handler of errors, as written; its steps are recorded with the step it belongs to."""

    on: tuple[str, ...]
    do: Any


class Modifiers(TypedDict, total=False):
    """What any step takes: `undo` is a function of the step's own result."""

    id: str
    if_: object
    time: Span
    retry: ir.Retry
    catch: Handler | Sequence[Handler]
    undo: Callable[[Any], object]
    limits: ir.Limits
    note: str


_NAMES: Final = frozenset(Modifiers.__annotations__)


def catch(on: str | Iterable[str], do: Callable[..., Any] | Any) -> Handler:
    """Handle these kinds of errors: `do` is a value, or a function of nothing or of the error."""
    return Handler(kinds(on), do)


def split(keywords: dict[str, Any]) -> tuple[dict[str, Any], Modifiers]:
    """Keywords that are fields or branches, and those that are modifiers."""
    rest = {name: of for name, of in keywords.items() if name not in _NAMES}
    modifiers = Modifiers(**{name: of for name, of in keywords.items() if name in _NAMES})  # type: ignore[typeddict-item]  # names are checked above
    return rest, modifiers


def record_step(does: ir.Operator, modifiers: Modifiers, *, wish: str, type_: Type | None = None) -> Any:
    """Record a step with its modifiers; gives the proxy of its result."""
    unknown = modifiers.keys() - _NAMES
    if unknown:
        raise InvalidFlow(f"no modifier is called {min(unknown)}", hint=f"there are {sorted(_NAMES)}")
    name = _name(modifiers.get("id"), wish)
    result = Proxy(name, type_=None if "if_" in modifiers else type_)
    time = modifiers.get("time")
    undo = modifiers.get("undo")
    step = ir.Step(
        does,
        id=name,
        guard=value(modifiers["if_"]) if "if_" in modifiers else None,
        time=None if time is None else micros(time),
        retry=modifiers.get("retry"),
        catch=_handlers(modifiers.get("catch", ())),
        undo=None if undo is None else body(undo, result),
        limits=modifiers.get("limits"),
        note=modifiers.get("note", ""),
        at=here(),
    )
    building().block.append(step)
    return result


def _name(wanted: str | None, wish: str) -> str:
    building()
    if wanted is None:
        return fresh(wish)
    if wanted in (TAKEN.get() or ()):
        raise InvalidFlow(f"the name '{wanted}' is bound twice", hint="give the step another id")
    return fresh(wanted)


def _handlers(given: Handler | Sequence[Handler]) -> tuple[ir.Catch, ...]:
    return tuple(_handler(handler) for handler in ([given] if isinstance(given, Handler) else given))


def _handler(handler: Handler) -> ir.Catch:
    binder = fresh("error")
    code = getattr(handler.do, "__code__", None)
    takes_error = code is not None and code.co_argcount > 0
    steps = body(handler.do, Proxy(binder)) if takes_error else body(handler.do)
    return ir.Catch(handler.on, steps, binder, here())
