"""Agents written as Python functions: the signature comes from the annotations.

The function stays what it was; its definition is kept beside it. Must never know how or
when agents are called.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, overload

from stratarouter_runtime.builder.annotations import Label, hints_of, item_of, options_of, type_of
from stratarouter_runtime.builder.conversion import Decode, decoder, encode
from stratarouter_runtime.builder.quantities import Span, labels, micros
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Batch, CachePolicy, Cost, Effect, Needs, OnCrash, Signature
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.types import JSON, record

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_DEFINITION: Final = "__strata_agent__"
Isolated: TypeAlias = Literal["inline", "process"]
"""Whether a function runs in the process of the server, or in one of its own."""

_WORDS: Final = {"effect": Effect, "cache": CachePolicy, "on_crash": OnCrash, "isolation": Isolated}
_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class AgentError(Exception):
    """Raised by an agent's function to fail with a kind that its signature declares.

    `data` is what the kind carries: a value, or an object of an annotated class.
    """

    def __init__(self, kind: str, message: str = "", data: Any = None) -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.message = message
        self.data = data


def words_of(error: BaseException) -> str:
    """The type of what a function raised and what it says, if it says anything."""
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001 - its __str__ is the agent's as well
        return type(error).__name__


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """A function as an agent. `version` is the author's: another behaviour, another version.

    `defaults` are values of parameters that a call in a flow may leave out. `isolation` is where the
    function runs, which is no part of what it is; nor is `batch`, which says that it takes lists: of
    each of `fields`.
    """

    name: AgentName
    signature: Signature
    version: str
    function: Callable[..., Any]
    defaults: Mapping[str, Any]
    decoders: tuple[tuple[str, Decode], ...]
    isolation: Isolated = "inline"
    batch: Batch | None = None
    fields: tuple[tuple[str, Decode | None], ...] = ()

    @property
    def is_async(self) -> bool:
        """Whether calling the function gives an awaitable."""
        return inspect.iscoroutinefunction(self.function)

    def call_with(self, value: Mapping[str, Any]) -> Any:
        """Call the function with a projected input; gives its output as a value, or an awaitable of it.

        Raises what the function raises, and `ValueError` for a returned time without a zone.
        The output is not checked against the signature.
        """
        arguments = dict(value)
        for name, decode in self.decoders:
            if arguments.get(name) is not None:
                arguments[name] = decode(arguments[name])
        result = self.function(**arguments)
        return _encoded(result) if inspect.isawaitable(result) else encode(result)

    def call_together(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Call a function that takes lists with several inputs, each parameter the list of its values.

        Gives what it returned, or an awaitable of it, as `call_with`; an `AgentError` in a list stays one.
        """
        columns = {name: [_decoded(decode, value[name]) for value in values] for name, decode in self.fields}
        result = self.function(**columns)
        return _encoded(result, _encode_each) if inspect.isawaitable(result) else _encode_each(result)


def _decoded(decode: Decode | None, value: Any) -> Any:
    return value if decode is None or value is None else decode(value)


def _encode_each(result: Any) -> Any:
    if not isinstance(result, list | tuple):
        return encode(result)
    return [item if isinstance(item, AgentError) else encode(item) for item in result]


async def _encoded(result: Awaitable[Any], encoding: Callable[[Any], Any] = encode) -> Any:
    return encoding(await result)


def definition_of(function: object) -> AgentDefinition | None:
    """The definition of a function decorated with `agent`, else None."""
    found = getattr(function, _DEFINITION, None)
    return found if isinstance(found, AgentDefinition) else None


@overload
def agent(function: _Function, /) -> _Function: ...


@overload
def agent(
    *,
    name: str = "",
    version: str = "1",
    effect: Effect = "effect",
    stable: bool = False,
    cache: CachePolicy | None = None,
    semantic: Iterable[str] = (),
    accepts: Iterable[str | Label] = (),
    errors: Iterable[str] = (),
    about: str = "",
    tags: Iterable[str] = (),
    needs: Needs = ...,
    cost: Cost = ...,
    time: Span | None = None,
    on_crash: OnCrash | None = None,
    isolation: Isolated = "inline",
    batch: Batch | None = None,
) -> Callable[[_Function], _Function]: ...


def agent(  # noqa: PLR0913 - one parameter a property of a signature
    function: _Function | None = None,
    /,
    *,
    name: str = "",
    version: str = "1",
    effect: Effect = "effect",
    stable: bool = False,
    cache: CachePolicy | None = None,
    semantic: Iterable[str] = (),
    accepts: Iterable[str | Label] = (),
    errors: Iterable[str] = (),
    about: str = "",
    tags: Iterable[str] = (),
    needs: Needs = Needs(),  # noqa: B008 - frozen
    cost: Cost = Cost(),  # noqa: B008 - frozen
    time: Span | None = None,
    on_crash: OnCrash | None = None,
    isolation: Isolated = "inline",
    batch: Batch | None = None,
) -> _Function | Callable[[_Function], _Function]:
    """Make a function an agent; its parameters are the fields of `in`, its return annotation is `out`.

    With `batch` each parameter, and what is returned, is a list of these: one item an input, an
    `AgentError` where that input failed. Raises `InvalidFlow` for annotations that no type says, for a
    word that is none of those possible, for `on_crash` of an agent without side effects, and for `batch`
    of one with them. The function itself is returned.
    """
    _check_words(effect=effect, cache=cache, on_crash=on_crash, isolation=isolation)
    if on_crash is not None and effect != "effect":
        raise InvalidFlow(
            f"on_crash is for agents with side effects; this is {effect}",
            hint="leave it out: after a crash such a call is made again, with the same key",
        )

    if batch is not None:
        _check_batch(effect, isolation)

    def decorate(function: _Function) -> _Function:
        signature = Signature(
            input=record({field: type_of(of) for field, of in _fields(function, batch).items()}),
            output=_output(function, batch),
            effect=effect,
            stable=stable,
            cache=cache,
            semantic=tuple(semantic),
            accepts=frozenset(labels(accepts)),
            errors=tuple(errors),
            about=about,
            tags=tuple(tags),
            needs=needs,
            cost=cost,
            time=None if time is None else micros(time),
            on_crash=on_crash,
        )
        defined = _define(function, name or function.__name__, version, signature, batch)
        setattr(function, _DEFINITION, replace(defined, isolation=isolation))
        return function

    return decorate if function is None else decorate(function)


def _check_words(**given: str | None) -> None:
    """What a type checker would have said: a word that nobody knows must not pass for a mild one."""
    for key, word in given.items():
        known: tuple[str, ...] = get_args(_WORDS[key])
        if word is not None and word not in known:
            hint = did_you_mean(str(word), known) or f"one of {', '.join(known)}"
            raise InvalidFlow(f"{key} of an agent cannot be {word!r}", hint=hint)


def _check_batch(effect: Effect, isolation: Isolated) -> None:
    if effect == "effect":
        raise InvalidFlow(
            "batch is for agents without side effects of their own; this is effect",
            hint="where a call may be made twice, write effect='pure' or 'idempotent'",
        )
    if isolation != "inline":
        raise InvalidFlow(f"batch is for functions inline; this one runs in a {isolation}")


def _define(
    function: Callable[..., Any], name: str, version: str, signature: Signature, batch: Batch | None
) -> AgentDefinition:
    decoders = tuple((field, decoder(of)) for field, of in _fields(function, batch).items())
    parameters = inspect.signature(function).parameters
    return AgentDefinition(
        name=AgentName(name),
        signature=signature,
        version=version,
        function=function,
        defaults={
            field: parameter.default
            for field, parameter in parameters.items()
            if parameter.default is not inspect.Parameter.empty
        },
        decoders=tuple((field, decode) for field, decode in decoders if decode is not None),
        batch=batch,
        fields=decoders,
    )


def _fields(function: Callable[..., Any], batch: Batch | None) -> dict[str, Any]:
    """Names and annotations of the fields of one input."""
    found = _parameters(function)
    if batch is None:
        return found
    if not found:
        raise InvalidFlow(f"the agent {function.__name__} takes nothing, so there is nothing to group")
    return {field: _item(function, field, of) for field, of in found.items()}


def _item(function: Callable[..., Any], what: str, annotation: Any) -> Any:
    item = Any if annotation is Any else item_of(annotation)
    if item is None:
        raise InvalidFlow(
            f"the agent {function.__name__} has a batch, and {what} is no list",
            hint="annotate it list[T]: one item an input",
        )
    return item


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Names and annotations of the parameters; without annotation, anything."""
    hints = hints_of(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _KINDS:
            raise InvalidFlow(
                f"the agent {function.__name__} takes {parameter}, which is no field",
                hint="give every parameter a name of its own",
            )
    return {field: hints.get(field, Any) for field in inspect.signature(function).parameters}


def _output(function: Callable[..., Any], batch: Batch | None) -> Any:
    hints = hints_of(function)
    if "return" not in hints:
        return JSON
    if batch is None:
        return type_of(hints["return"])
    item = _item(function, "what it returns", hints["return"])
    said = [option for option in options_of(item) or (item,) if option is not AgentError]
    return join(*map(type_of, said))
