"""The flow under construction: the steps recorded so far, block by block.

Must never know operators.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from stratarouter_runtime.builder import literals
from stratarouter_runtime.builder.agents import definition_of
from stratarouter_runtime.builder.naming import TAKEN
from stratarouter_runtime.builder.proxies import Proxy, source_of
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp import ir

_BUILDING: Final[ContextVar[Building | None]] = ContextVar("building", default=None)


class Building:
    """Collects steps into the innermost open block, and the agents that they name."""

    def __init__(self) -> None:
        self.agents: dict[str, ir.AgentRef] = {}
        self.block: list[ir.Step] = []

    @contextmanager
    def inner(self) -> Iterator[list[ir.Step]]:
        """Record into a new block while this is open."""
        outer, self.block = self.block, []
        try:
            yield self.block
        finally:
            self.block = outer


def building() -> Building:
    """The flow under construction; raises `InvalidFlow` outside of one."""
    current = _BUILDING.get()
    if current is None:
        raise InvalidFlow(
            "a step was made outside of a flow", hint="call it inside of a function under @flow"
        )
    return current


@contextmanager
def begin(names: set[str]) -> Iterator[Building]:
    """Construct a flow whose inputs have these names."""
    current = Building()
    tokens = _BUILDING.set(current), TAKEN.set(names)
    try:
        yield current
    finally:
        _BUILDING.reset(tokens[0])
        TAKEN.reset(tokens[1])


def agent_name(agent: object) -> str:
    """The name of an agent given as decorated function, flow or name; the flow requires it from now on."""
    definition = definition_of(agent)
    if definition is not None:
        ref = ir.AgentRef(definition.name, definition.signature)
    else:
        name = agent if isinstance(agent, str) else getattr(agent, "name", None)
        if not isinstance(name, str):
            raise InvalidFlow(
                f"{agent!r} is no agent", hint="decorate the function with @agent, or give a name"
            )
        ref = ir.AgentRef(name)
    known = building().agents.setdefault(ref.name, ref)
    if known.signature is not None and ref.signature is not None and known.signature != ref.signature:
        raise InvalidFlow(f"two agents are called {ref.name}", hint="give one of them name=…")
    if known.signature is None:
        building().agents[ref.name] = ref
    return ref.name


def value(given: Any, at: ir.Where | None = None) -> ir.Value:  # noqa: C901 - one case a kind of value
    """What a step was given, as a written value; `at` is the line that gives it."""
    at = at or here()
    match given:
        case Proxy():
            return ir.Expression(source_of(given), at)
        case None | bool():
            return ir.Constant(given, at)
        case int():
            return ir.Constant(int(given), at)
        case float():
            return ir.Constant(literals.finite(given), at)
        case str() if type(given) is str:
            return ir.Constant(given, at)
        case list() | tuple():
            return ir.ListValue(tuple(value(item, at) for item in given), at)
        case dict():
            return ir.RecordValue(tuple((_name(name), value(item, at)) for name, item in given.items()), at)
        case bytes():
            return ir.Expression(literals.source(given, str), at)
        case _:
            return value(literals.plain(given), at)


def body(function: Callable[..., Any] | Any, *arguments: Any) -> ir.Step:
    """What a function records, as one step: the step itself where it is a single one it returns."""
    steps, result = record(function, *arguments)
    if not steps:
        return ir.Step(ir.Let(value(result)))
    last = is_last(steps, result)
    if last and len(steps) == 1:
        return steps[0]
    return ir.Step(ir.Do(tuple(steps), None if last else value(result)))


def record(function: Callable[..., Any] | Any, *arguments: Any) -> tuple[list[ir.Step], Any]:
    """The steps that a function records, and what it returns; a value is returned as it is."""
    with building().inner() as steps:
        is_value = isinstance(function, Proxy) or not callable(function)
        result = function if is_value else function(*arguments)
    return steps, result


def is_last(steps: list[ir.Step], result: Any) -> bool:
    """Whether what was returned is the result of the last step, which is what a block gives anyway."""
    return bool(steps) and (
        result is None or (isinstance(result, Proxy) and source_of(result) == steps[-1].id)
    )


def here() -> ir.Where:
    """The line of the caller's program that is building."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to the caller's line
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(__package__ or ""):
        frame = frame.f_back
    return ir.Where(line=frame.f_lineno, column=1)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidFlow(f"the key {name!r} is no string", hint="the fields of a record have names")
    return name
