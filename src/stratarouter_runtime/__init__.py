"""StrataRouter Runtime: typed microagent workflows, executed durably and reproducibly.

The public names are those of `builder`; they are loaded when one is first used, so that
importing the package costs next to nothing.
"""

from __future__ import annotations

# What `typing` would say, without the cost of importing it.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from stratarouter_runtime.builder import (
        PII,
        SECRET,
        AgentError,
        Batch,
        Cost,
        File,
        FlowDefinition,
        Label,
        Limits,
        Needs,
        Retry,
        Routed,
        agent,
        ask,
        call,
        catch,
        choose,
        do,
        each,
        fail,
        flow,
        fn,
        let,
        loop,
        make,
        match,
        par,
        race,
        route,
        run,
        sleep,
        tagged,
        usage,
        when,
    )

__all__ = [
    "PII",
    "SECRET",
    "AgentError",
    "Batch",
    "Cost",
    "File",
    "FlowDefinition",
    "Label",
    "Limits",
    "Needs",
    "Retry",
    "Routed",
    "agent",
    "ask",
    "call",
    "catch",
    "choose",
    "do",
    "each",
    "fail",
    "flow",
    "fn",
    "let",
    "loop",
    "make",
    "match",
    "par",
    "race",
    "route",
    "run",
    "sleep",
    "tagged",
    "usage",
    "when",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stratarouter_runtime import builder  # noqa: PLC0415 - for the start-up of what builds no flow

    return getattr(builder, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
