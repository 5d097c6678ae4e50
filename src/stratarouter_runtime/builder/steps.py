"""The twelve operators as Python functions: each records one step and gives a proxy of its result.

For a type checker the result is a value of the type it will have. Must never know how the
steps are run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

from typing_extensions import Unpack

from stratarouter_runtime.builder.agents import definition_of
from stratarouter_runtime.builder.annotations import Annotation, type_of
from stratarouter_runtime.builder.conversion import encode
from stratarouter_runtime.builder.modifiers import Modifiers, record_step, split
from stratarouter_runtime.builder.naming import fresh
from stratarouter_runtime.builder.proxies import Proxy, known_type, text
from stratarouter_runtime.builder.quantities import Span, micros
from stratarouter_runtime.builder.recording import agent_name, body, here, is_last, record, value
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.types import ListType, RecordType

_T = TypeVar("_T")
_R = TypeVar("_R")

AgentOf: TypeAlias = Callable[..., Awaitable[_R]] | Callable[..., _R]
"""A function decorated with `agent`, or a flow, with its result."""


class Routed(Generic[_R]):
    """What a route or race gives: who answered, and the answer. Only proxies of it exist."""

    by: str
    out: _R


@overload
def call(agent: Callable[..., Awaitable[_R]], /, with_: Any = ..., **inputs: Any) -> _R: ...
@overload
def call(agent: Callable[..., _R], /, with_: Any = ..., **inputs: Any) -> _R: ...
@overload
def call(agent: str, /, with_: Any = ..., **inputs: Any) -> Any: ...
def call(agent: Any, /, with_: Any = None, **inputs: Any) -> Any:
    """Run an agent or a flow. Its input is `with_`, or the keywords that are no modifiers.

    Parameters of the function that have a default, and are not given, get it.
    """
    fields, modifiers = split(inputs)
    if with_ is not None and fields:
        raise InvalidFlow(f"both with_ and {', '.join(fields)} are given", hint="put all inputs into with_")
    given = fields if with_ is None else with_
    name = agent_name(agent)
    definition = definition_of(agent)
    if definition is not None and isinstance(given, dict):
        given = given | {key: of for key, of in definition.defaults.items() if key not in given}
    type_ = None if definition is None else definition.signature.output
    return record_step(ir.Call(name, value(given), here()), modifiers, wish=name, type_=type_)


def when(condition: object, pick: AgentOf[Any] | str) -> ir.Rule:
    """A rule of a route: where the condition is true, this agent answers."""
    return ir.Rule(value(condition), agent_name(pick), here())


@overload
def route(
    query: str,
    *,
    among: Sequence[Callable[..., Awaitable[_R]]],
    with_: Any,
    rules: Iterable[ir.Rule] = ...,
    min: float | None = ...,
    otherwise: Callable[..., Any] | str | None = ...,
    **modifiers: Unpack[Modifiers],
) -> Routed[_R]: ...
@overload
def route(
    query: str,
    *,
    among: Sequence[Callable[..., Any] | str] | ir.Among,
    with_: Any,
    rules: Iterable[ir.Rule] = ...,
    min: float | None = ...,
    otherwise: Callable[..., Any] | str | None = ...,
    **modifiers: Unpack[Modifiers],
) -> Routed[Any]: ...
def route(
    query: str,
    *,
    among: Sequence[Any] | ir.Among,
    with_: Any,
    rules: Iterable[ir.Rule] = (),
    min: float | None = None,  # noqa: A002 - the language's own word
    otherwise: Any = None,
    **modifiers: Unpack[Modifiers],
) -> Routed[Any]:
    """Choose one agent, by rule or by meaning, and run it with `with_`."""
    does = ir.Route(
        query=value(query),
        among=among if isinstance(among, ir.Among) else tuple(agent_name(agent) for agent in among),
        with_=value(with_),
        rules=tuple(rules),
        min=min,
        otherwise=None if otherwise is None else agent_name(otherwise),
        at=here(),
    )
    return cast("Routed[Any]", record_step(does, modifiers, wish="route"))


def tagged(tag: str, out: type[_T]) -> ir.Among:
    """The candidates of a route by tag and output type, taken from the registry at link time."""
    return ir.Among(tag, type_of(out), here())


def let(given: _T, *, type: Annotation = None, **modifiers: Unpack[Modifiers]) -> _T:  # noqa: A002 - the language's own word
    """A pure value with a name; with `type`, a checked conversion that may raise `type`."""
    to = None if type is None else type_of(type)
    does = ir.Let(value(given), to, here())
    return cast("_T", record_step(does, modifiers, wish="let", type_=to or known_type(given)))


def do(steps: Callable[[], _T], **modifiers: Unpack[Modifiers]) -> _T:
    """A block: the steps that the function records, and what it returns."""
    recorded, result = record(steps)
    does = ir.Do(tuple(recorded), None if is_last(recorded, result) else value(result), here())
    return cast("_T", record_step(does, modifiers, wish="block"))


def match(
    subject: object,
    cases: Mapping[Any, Callable[[], _T] | _T] | None = None,
    /,
    *,
    otherwise: Callable[[], _T] | None = None,
    **arms: Any,
) -> _T:
    """Choose an arm by the value of a bool or enum: `match(v.verdict, {"ok": lambda: …})`.

    An arm is a function that records steps, or a value. Labels are strings, members of an enum,
    True, False or None; those that are names, and no modifiers, may be given as keywords.
    """
    more, modifiers = split(arms)
    every = {**(cases or {}), **more}
    does = ir.Match(
        subject=value(subject),
        cases=tuple((_label(label), body(arm)) for label, arm in every.items()),
        otherwise=None if otherwise is None else body(otherwise),
        at=here(),
    )
    return cast("_T", record_step(does, modifiers, wish="match"))


def par(branches: Mapping[str, Callable[[], Any]] | None = None, /, **more: Any) -> Any:
    """All branches at once; gives a record of their results. The first failure cancels the rest."""
    named, modifiers = split(more)
    return record_step(ir.Par(_branches(branches, named), here()), modifiers, wish="par")


def race(branches: Mapping[str, Callable[[], _T]] | None = None, /, **more: Any) -> Routed[_T]:
    """All branches at once; the first that succeeds wins: gives `by` and `out`."""
    named, modifiers = split(more)
    does = ir.Race(_branches(branches, named), here())
    return cast("Routed[_T]", record_step(does, modifiers, wish="race"))


def each(
    items: Sequence[_T],
    steps: Callable[[_T], _R] | Callable[[_T, int], _R],
    *,
    max: int,  # noqa: A002 - the language's own word
    parallel: int | None = None,
    **modifiers: Unpack[Modifiers],
) -> list[_R]:
    """Map a list of at most `max` items; `steps` takes the item, and its index if it has two parameters."""
    of = known_type(items)
    binders = _binders(steps, ("item", "index"))
    proxies = [Proxy(binders[0], type_=of.item if isinstance(of, ListType) else None)]
    proxies += [Proxy(name) for name in binders[1:]]
    does = ir.Each(
        items=value(items),
        body=body(steps, *proxies),
        max=max,
        item=binders[0],
        index=binders[1] if len(binders) > 1 else None,
        parallel=parallel,
        at=here(),
    )
    return cast("list[_R]", record_step(does, modifiers, wish="each"))


def loop(
    initial: _T,
    *,
    while_: Callable[[_T], object],
    do: Callable[[_T], object],
    max: int,  # noqa: A002 - the language's own word
    type: Annotation = None,  # noqa: A002 - likewise
    **modifiers: Unpack[Modifiers],
) -> _T:
    """A state machine: while the test holds, the steps of `do` give the next state, at most `max` times."""
    state_type = type_of(type) if type is not None else None
    name = _binders(do, ("state",))[0]
    state = cast("_T", Proxy(name, type_=state_type if isinstance(state_type, RecordType) else None))
    steps, result = record(do, state)
    last = is_last(steps, result)
    single = last and len(steps) == 1
    does = ir.Loop(
        initial=value(initial),
        test=value(while_(state)),
        body=steps[0] if single else ir.Step(ir.Do(tuple(steps))) if steps else body(result),
        max=max,
        state=name,
        result=None if last or not steps else value(result),
        type=state_type,
        at=here(),
    )
    return cast("_T", record_step(does, modifiers, wish="loop", type_=state_type))


def ask(
    type: type[_T],  # noqa: A002 - the language's own word
    *,
    for_: Span,
    from_: str | None = None,
    show: Any = None,
    otherwise: Any = ...,
    **modifiers: Unpack[Modifiers],
) -> _T:
    """Wait at most `for_` for a value of this type from outside; then `otherwise`, or the error `timeout`."""
    of = type_of(type)
    does = ir.Ask(
        type=of,
        time=micros(for_),
        sender=from_,
        show=None if show is None else value(show),
        otherwise=None if otherwise is ... else value(otherwise),
        at=here(),
    )
    return cast("_T", record_step(does, modifiers, wish="ask", type_=of))


def sleep(span: Span, **modifiers: Unpack[Modifiers]) -> None:
    """A timer."""
    record_step(ir.Sleep(micros(span), here()), modifiers, wish="sleep")


def fail(kind: str, message: object = None, *, data: object = None, **modifiers: Unpack[Modifiers]) -> None:
    """Raise a declared error."""
    does = ir.Fail(
        kind=kind,
        message=None if message is None else value(message),
        data=None if data is None else value(data),
        at=here(),
    )
    record_step(does, modifiers, wish="fail")


def _label(given: object) -> str:
    return given if type(given) is str else str(encode(given)) if isinstance(given, Enum) else text(given)


def _branches(
    branches: Mapping[str, Callable[[], Any]] | None, more: Mapping[str, Any]
) -> tuple[tuple[str, ir.Step], ...]:
    return tuple((name, body(branch)) for name, branch in {**(branches or {}), **more}.items())


def _binders(function: Callable[..., Any], defaults: tuple[str, ...]) -> list[str]:
    """A free name for every parameter of the function, at most as many as there are defaults."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code is not None else defaults[:1]
    if not 1 <= len(names) <= len(defaults):
        raise InvalidFlow(
            f"the function takes {len(names)} parameters", hint=f"it is given {' and '.join(defaults)}"
        )
    return [fresh(name) for name in names]
