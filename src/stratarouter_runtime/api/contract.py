"""What an operation takes, gives and refuses, said beside its handler: the source of the OpenAPI document.

Must never know: how an operation does its work, or how the document is laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from msgspec import Struct

from stratarouter_runtime.api.exchange import Handler

H = TypeVar("H", bound=Handler)

EVENTS: Final = "text/event-stream"
TEXT: Final = "text/plain"
PAGE: Final = "text/html"


class Operation(Struct, frozen=True):
    """One method at one path.

    `gives` is the type of the body by status, or its media type where that is not JSON, or None
    where there is no body. `takes` is the type of the body; `texts` are media types it may have
    where it is no JSON of a known shape. `headers` are those of the request that it heeds. `refuses`
    are codes of problems beside those that any such operation may answer with.
    """

    gives: Mapping[int, Any]
    takes: Any = None
    optional: bool = False
    texts: tuple[str, ...] = ()
    query: type[Struct] | None = None
    headers: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


CONTRACTS: Final[dict[Handler, Operation]] = {}
"""Every handler's operation; one that is missing fails a test."""


def operation(
    gives: Mapping[int, Any],
    *,
    takes: Any = None,
    optional: bool = False,
    texts: tuple[str, ...] = (),
    query: type[Struct] | None = None,
    headers: tuple[str, ...] = (),
    refuses: tuple[str, ...] = (),
) -> Callable[[H], H]:
    """Say what a handler does. Its docstring says the rest: the route, then what it is for."""

    def told(handler: H) -> H:
        CONTRACTS[handler] = Operation(gives, takes, optional, texts, query, headers, refuses)
        return handler

    return told
