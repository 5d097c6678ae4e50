"""Limits, retries and spans of time as Python writes them.

Must never know steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TypeAlias

from stratarouter_runtime.builder.annotations import Label
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.times import duration_micros

Span: TypeAlias = str | timedelta
"""A length of time: `"200ms"`, `"1h30m"`, `"PT90S"` or a timedelta."""


def micros(span: Span) -> int:
    """The microseconds of a span; raises `InvalidFlow` for what is none."""
    if isinstance(span, timedelta):
        return span // timedelta(microseconds=1)
    try:
        return duration_micros(span)
    except (ValueError, TypeError) as refused:
        raise InvalidFlow(f"{span!r} is no span of time: {refused}") from None


def labels(names: Iterable[str | Label]) -> tuple[str, ...]:
    """Labels by their names."""
    return tuple(name.name if isinstance(name, Label) else name for name in names)


def Limits(  # noqa: N802 - read as the record it makes; a limit each
    *,
    usd: float | None = None,
    tokens: int | None = None,
    time: Span | None = None,
    steps: int | None = None,
    parallel: int | None = None,
    hosts: Iterable[str] | None = None,
    tools: Iterable[str] | None = None,
    labels: Iterable[str | Label] | None = None,
) -> ir.Limits:
    """Constraints on a flow or a step; None is unlimited."""
    return ir.Limits(
        usd=usd,
        tokens=tokens,
        time=None if time is None else micros(time),
        steps=steps,
        parallel=parallel,
        hosts=None if hosts is None else tuple(hosts),
        tools=None if tools is None else tuple(tools),
        labels=None if labels is None else _labels(labels),
    )


def Retry(  # noqa: N802 - read as the record it makes
    max: int,  # noqa: A002 - the language's own word
    *,
    wait: Span = "0s",
    factor: float = 1.0,
    on: Iterable[str] = (),
    unsafe: bool = False,
) -> ir.Retry:
    """Try again at most `max` times; the n-th wait is `wait * factor**(n-1)`."""
    return ir.Retry(max=max, wait=micros(wait), factor=float(factor), on=kinds(on), unsafe=unsafe)


def Batch(max: int, *, wait: Span = "5ms") -> ir.Batch:  # noqa: A002, N802 - the language's own words
    """Calls become one: at most `max` inputs, of which none waits longer than `wait`."""
    if max < 1:
        raise InvalidFlow(f"a batch of {max} inputs is none", hint="write Batch(16), or leave it out")
    return ir.Batch(max, micros(wait))


def kinds(names: str | Iterable[str]) -> tuple[str, ...]:
    """Kinds of errors: one, or several."""
    return (names,) if isinstance(names, str) else tuple(names)


_labels = labels
