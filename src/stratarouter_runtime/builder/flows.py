"""Flows written as Python functions: run once, on proxies, to record what they do.

Must never know how the flow is checked or run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, update_wrapper
from inspect import signature
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from stratarouter_runtime.builder.annotations import Annotation, hints_of, type_of
from stratarouter_runtime.builder.naming import RESERVED
from stratarouter_runtime.builder.proxies import Proxy
from stratarouter_runtime.builder.recording import begin, is_last, value
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.canonical_form import flow_digest
from stratarouter_runtime.tcfp.types import JSON, Type
from stratarouter_runtime.tcfp.writer import write

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FlowDefinition(Generic[_P, _R]):
    """A function as a flow: `ir` is what it recorded, `digest` what that means.

    Inside another flow, calling it records its steps there; `call(it, …)` runs it as a flow
    of its own.
    """

    def __init__(self, function: Callable[_P, _R], flow: ir.Flow) -> None:
        update_wrapper(self, function)
        self.function = function
        self.ir = flow

    @property
    def name(self) -> str:
        """The name of the flow."""
        return self.ir.name

    @cached_property
    def digest(self) -> Digest:
        """The digest of the flow: that of the same flow in YAML."""
        return flow_digest(self.ir)

    @property
    def document(self) -> str:
        """The flow as a document in JSON, of the same digest: what is run, served and deployed."""
        return msgspec.json.format(msgspec.json.encode(write(self.ir)), indent=2).decode() + "\n"

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Record the steps of this flow in the one under construction."""
        return self.function(*args, **kwargs)


def flow(  # noqa: PLR0913 - one parameter a property of a flow
    name: str,
    *,
    limits: ir.Limits | None = None,
    errors: Mapping[str, Annotation] | None = None,
    raises: Iterable[str] = (),
    stable: bool = False,
    cache: ir.CachePolicy | None = None,
    semantic: Iterable[str] = (),
    about: str = "",
    tags: Iterable[str] = (),
    note: str = "",
) -> Callable[[Callable[_P, _R]], FlowDefinition[_P, _R]]:
    """Make a function a flow. It runs once, now, on proxies of its parameters.

    `errors` are own kinds with the annotation of their data (None for none). Raises
    `InvalidFlow` where the function does what cannot be recorded.
    """

    def decorate(function: Callable[_P, _R]) -> FlowDefinition[_P, _R]:
        inputs = _inputs(function)
        body, agents = _record(function, inputs)
        hints = hints_of(function)
        recorded = ir.Flow(
            name=name,
            input=inputs,
            output=type_of(hints["return"]) if "return" in hints else JSON,
            body=body,
            types={},
            agents=agents,
            errors=tuple((kind, type_of(of)) for kind, of in (errors or {}).items()),
            raises=tuple(raises),
            limits=limits,
            stable=stable,
            cache=cache,
            semantic=tuple(semantic),
            about=about,
            tags=tuple(tags),
            note=note,
        )
        return FlowDefinition(function, recorded)

    return decorate


def _inputs(function: Callable[..., Any]) -> tuple[tuple[str, Type], ...]:
    hints = hints_of(function)
    names = tuple(signature(function).parameters)
    for name in names:
        if name in RESERVED:
            raise InvalidFlow(f"no input may be called '{name}'", hint="choose another name")
    return tuple((name, type_of(hints[name]) if name in hints else JSON) for name in names)


def _record(
    function: Callable[..., Any], inputs: tuple[tuple[str, Type], ...]
) -> tuple[ir.Do, tuple[ir.AgentRef, ...]]:
    with begin({name for name, _ in inputs}) as building:
        result = _called(function, {name: Proxy(name, type_=of) for name, of in inputs})
        given = None if is_last(building.block, result) else value(result)
    return ir.Do(tuple(building.block), given), tuple(building.agents.values())


def _called(function: Callable[..., Any], given: dict[str, Proxy]) -> Any:
    try:
        return function(**given)
    except ValueError as problem:  # what pydantic raises, which need not be installed
        if f"input_type={Proxy.__name__}" not in str(problem):
            raise
        model = getattr(problem, "title", "a model")
        raise InvalidFlow(
            f"'{model}' checks its fields at once, and stand-ins have no values yet",
            hint=f"write make({model}, …): it builds the record without the constructor",
        ) from None
