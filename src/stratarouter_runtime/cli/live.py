"""An execution as it runs: a tree that changes on a terminal, lines anywhere else.

Both are observers: they hear of facts when these are durable, and cannot fail a run. Must
never know: who drives the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self, TextIO

from typing_extensions import override

from stratarouter_runtime.cli.words import Names, say, step_of
from stratarouter_runtime.ports import Execution, Observer
from stratarouter_runtime.state import events
from stratarouter_runtime.state.events import Event, Record
from stratarouter_runtime.tcfp.plan import Plan

if TYPE_CHECKING:
    from rich.tree import Tree

_STYLES: Final = {
    events.Dispatched: ("…", "yellow"),
    events.Returned: ("✓", "green"),
    events.Failed: ("✗", "red"),
    events.Interrupted: ("!", "yellow"),
    events.Chosen: ("→", "cyan"),
    events.Asked: ("?", "magenta"),
    events.Answered: ("✓", "green"),
    events.TimerFired: ("⏱", "yellow"),
}


class Lines(Observer):
    """Writes one line a fact: `  0.012s classify: done in 3.1 ms`."""

    def __init__(self, plan: Plan, write: Callable[[str], object]) -> None:
        self._names = Names(plan)
        self._write = write
        self._started = 0

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        self._started = self._started or execution.created
        for record, event in zip(records, events, strict=True):
            if isinstance(event, Event):
                self._write(self._line(record.at, event))

    def _line(self, at: int, event: Event) -> str:
        step = step_of(event)
        who = "" if step is None else f"{self._names.of(step)}: "
        return f"{(at - self._started) / 1e6:8.3f}s {who}{self._names.what(event)}\n"


class Growing(Observer):
    """A tree of the steps reached so far, each with its latest fact; redrawn in place.

    Use as a context manager around the run.
    """

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - start-up: only a terminal needs it
        from rich.live import Live  # noqa: PLC0415 - likewise
        from rich.tree import Tree  # noqa: PLC0415 - likewise

        self._names = Names(plan)
        self._tree = Tree(plan.name)
        self._branches: dict[str, Tree] = {}
        self._live = Live(self._tree, console=Console(file=stream), refresh_per_second=12)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for event in events:
            if isinstance(event, Event):
                self._show(event)

    def _show(self, event: Event) -> None:
        from rich.text import Text  # noqa: PLC0415 - start-up: only a terminal needs it

        step = step_of(event)
        if step is None:
            self._tree.label = Text(f"{self._tree.label}".split("  ")[0] + f"  {say(event)}")
            return
        sign, colour = _STYLES.get(type(event), ("·", "white"))
        label = Text.assemble(
            (f"{sign} ", colour), (self._names.of(step), "bold"), f"  {self._names.what(event)}"
        )
        if step in self._branches:
            self._branches[step].label = label
        else:
            self._branches[step] = self._tree.add(label)


def observer(plan: Plan, stream: TextIO) -> Lines | Growing:
    """What suits the stream: a growing tree on a terminal, else lines."""
    return Growing(plan, stream) if stream.isatty() else Lines(plan, stream.write)
