"""Records whose fields are proxies, of classes that would refuse them.

Must never know steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from stratarouter_runtime.errors import InvalidFlow

_P = ParamSpec("_P")
_R = TypeVar("_R")


def make(_class: Callable[_P, _R], /, *args: _P.args, **fields: _P.kwargs) -> _R:
    """A record of this class in a flow, without running its constructor: `make(Reply, text=c.text)`.

    pydantic models check what they are given, and a proxy is not yet what it will be. For a
    type checker this is the constructor; what it gives is a plain record of the fields.
    """
    if args:
        raise InvalidFlow("the fields of a record are given by name", hint="write make(Reply, text=…)")
    return cast("_R", cast("dict[str, Any]", fields))
