"""What a journal's facts say, in words: one line each, for people who watch or look back.

Must never know: terminals, stores, or how facts come about.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from stratarouter_runtime.cli.render import printable
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state import events
from stratarouter_runtime.state.events import Event, Failure, Usage
from stratarouter_runtime.tcfp.plan import Ask, Plan
from stratarouter_runtime.tcfp.times import time_text

_TIMERS: Final = {
    "attempt": "the attempt ran out of time",
    "retry": "tries again",
    "ask": "nobody answered in time",
    "limit": "ran out of time",
}
LONGEST: Final = 120
"""Characters of a value that are shown."""


class Names:
    """The names of a plan's steps by their paths, with the rounds they are in."""

    def __init__(self, plan: Plan) -> None:
        self._names = {op.path: op.name for op in plan.ops}
        self._sleeps = {op.path for op in plan.ops if isinstance(op.does, Ask) and op.does.sleep}
        self._taken = Counter(self._names.values())

    def of(self, step: str) -> str:
        """What people call the step of this path: `charge`, or `brief[7]` in round 7."""
        path, bracket, rounds = step.partition("[")
        undo = "undo: " if path.endswith("/undo") else ""
        return undo + self._names.get(path, path) + bracket + rounds

    def what(self, event: Event) -> str:
        """What happened, as `say` has it; of a sleep, which is a question to nobody, that it is over."""
        if isinstance(event, events.TimerFired) and event.step.partition("[")[0] in self._sleeps:
            return "slept"
        return say(event)

    def call(self, step: str) -> str:
        """What a command may call this step: its name where that is its own and no round of it, else its path."""
        name = self._names.get(step, step)
        return name if self._taken[name] == 1 else step


def say(event: Event) -> str:  # noqa: C901, PLR0912 - one case a fact
    """What happened, without the step it happened to."""
    match event:
        case events.Started(plan=plan, seed=seed):
            return f"started on plan {plan[:12]} with seed {seed}"
        case events.Dispatched(attempt=attempt):
            return f"calls{nth(attempt)}"
        case events.Returned(attempt=attempt, usage=usage, isolation=isolation):
            return f"done{nth(attempt)}{spent(usage)}{walls(isolation)}"
        case events.Failed(failure=failure, attempt=attempt, usage=usage, isolation=isolation):
            return f"failed{nth(attempt)}: {reason(failure)}{spent(usage)}{walls(isolation)}"
        case events.Interrupted(attempt=attempt):
            return f"interrupted{nth(attempt)}: whether it took effect is not known"
        case events.Scored(scores=scores, why=why):
            return f"compared {len(scores)} candidates" if scores else f"decided by {why.by if why else ''}"
        case events.Chosen() as chosen:
            return _chosen(chosen)
        case events.Asked() as asked:
            return f"{question(asked)}{f' until {time_text(asked.until)}' if asked.until else ''}"
        case events.Answered(by=by, value=value):
            return f"answered{f' by {by}' if by else ''}: {value_text(value)}"
        case events.TimerFired(timer=timer):
            return _TIMERS[timer]
        case events.CancelRequested(reason=why, by=by):
            return f"cancellation requested{f' by {by}' if by else ''}{f': {why}' if why else ''}"
        case events.Migrated(plan=plan, by=by):
            return f"goes on with plan {plan[:12]}{f', by {by}' if by else ''}"
        case events.Finished(status=status, failure=failure):
            return f"{status}{f': {reason(failure)}' if failure else ''}"


def question(asked: events.Asked) -> str:
    """What is asked, and of whom."""
    if asked.interrupted:
        return f"asks whether the call of {asked.interrupted} happened: {asked.type}"
    return f"asks {asked.sender or 'anybody'} for {asked.type}"


def step_of(event: Event) -> str | None:
    """The path of the step that a fact is about; None where it is about the whole execution."""
    match event:
        case events.Started() | events.CancelRequested() | events.Migrated() | events.Finished():
            return None
        case _:
            return event.step


def nth(attempt: int) -> str:
    """`` for the first attempt, then ` (attempt 2)`."""
    return f" (attempt {attempt})" if attempt > 1 else ""


def walls(isolation: str) -> str:
    """The level at which a call ran, where it is not that of the server itself: `, isolated: sandbox`."""
    return f", isolated: {isolation}" if isolation else ""


def reason(failure: Failure) -> str:
    """A failure in one line."""
    message = " ".join(printable(failure.message).split())
    return f"{failure.kind}: {message}" if message else failure.kind


def spent(usage: Usage) -> str:
    """What a call really took: ` in 12.0 ms, $0.002, 1,500 tokens`; nothing where nothing was told.

    Behind walls also `1.5 ms CPU, 24 MiB`.
    """
    behind = f"{usage.cpu_ms:,.1f} ms CPU, {usage.memory_kib / 1_024:,.0f} MiB" if usage.memory_kib else ""
    said = ", ".join(part for part in (total(usage), behind) if part)
    return f" in {said}" if said else ""


def total(usage: Usage) -> str:
    """Time in agents, dollars and tokens, where there are any: `12.0 ms, $0.002, 1,500 tokens`."""
    tokens = usage.tokens_in + usage.tokens_out
    parts = [
        f"{usage.ms:,.1f} ms" if usage.ms else "",
        f"${usage.usd:.6f}".rstrip("0").rstrip(".") if usage.usd else "",
        f"{tokens:,} tokens" if tokens else "",
    ]
    return ", ".join(part for part in parts if part)


def summary(row: Execution) -> str:
    """An execution in one line: `exec_… completed after 0.005 s, agents took 2.5 ms, $0.002`."""
    used = total(row.usage) if row.usage else ""
    took = f"after {(row.updated - row.created) / 1e6:.3f} s"
    return f"{row.id} {row.status} {took}{f', agents took {used}' if used else ''}"


def value_text(value: object) -> str:
    """A value as JSON, cut where it is long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _chosen(chosen: events.Chosen) -> str:
    match chosen.by:
        case "rule":
            return f"chose {chosen.agent} by rule {chosen.rule}"
        case "meaning":
            best = f" ({max(chosen.scores):.2f})" if chosen.scores else ""
            return f"chose {chosen.agent} by meaning{best}"
        case "tenant":
            return f"chose {chosen.agent} by routing rule {chosen.why.rule if chosen.why else ''}".rstrip()
        case "core":
            return f"chose {chosen.agent}, as StrataRouter-Core decided"
        case "else":
            return f"chose {chosen.agent}, for nothing else fits"
