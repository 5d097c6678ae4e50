"""Plain counters of what executions, steps, agents and routes did, for `facts` in the table.

Labels are names that flows and agents were given; beyond a number of them all others count as
one. Must never know: journals, or who reads the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.tally import Distribution, Histogram

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Usage

OTHERS: Final = "(others)"
NAMES: Final = 500
"""Names that get figures of their own, for workflows and for agents."""


class Figures(Struct, frozen=True):
    """What has been counted since the process began. Money is in US dollars."""

    started: Mapping[str, int]
    ended: Mapping[tuple[str, str], int]
    duration: Mapping[str, Distribution]
    steps: Mapping[str, int]
    retries: int
    calls: Mapping[tuple[str, str], int]
    failures: Mapping[tuple[str, str], int]
    call_seconds: Mapping[str, Distribution]
    tokens: Mapping[tuple[str, str], int]
    cost: Mapping[str, float]
    routes: Mapping[str, int]
    taken_up: int
    facts: int


class OfWorkflow:
    """The counters of one workflow."""

    __slots__ = ("duration", "ended", "started")

    def __init__(self) -> None:
        self.started = 0
        self.ended: Counter[str] = Counter()
        self.duration = Histogram()


class OfAgent:
    """The counters of one agent."""

    __slots__ = ("cost", "failures", "name", "returned", "seconds", "tokens_in", "tokens_out")

    def __init__(self, name: str) -> None:
        self.name = name
        self.returned = 0
        self.failures: Counter[str] = Counter()
        self.seconds = Histogram()
        self.tokens_in = 0
        self.tokens_out = 0
        self.cost = 0.0

    def spent(self, usage: Usage) -> None:
        """Count what a call took; one that does not say how long it was leaves no duration."""
        if usage.ms:
            self.seconds.observe(usage.ms / 1_000)
        if usage.tokens_in or usage.tokens_out or usage.usd:
            self.tokens_in += usage.tokens_in
            self.tokens_out += usage.tokens_out
            self.cost += usage.usd


class Counters:
    """All of them; `workflow` and `agent` hand out those of one name, to be kept by who counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers = 0
        self.routes: Counter[str] = Counter()
        self.retries = 0
        self.taken_up = 0
        self.facts = 0
        self._workflows: dict[str, OfWorkflow] = {}
        self._agents: dict[str, OfAgent] = {}

    def workflow(self, name: str) -> OfWorkflow:
        """The counters of a workflow."""
        found = self._workflows.get(name)
        if found is None:
            found = self._workflows.setdefault(_bounded(name, self._workflows), OfWorkflow())
        return found

    def agent(self, name: str) -> OfAgent:
        """The counters of an agent."""
        found = self._agents.get(name)
        if found is None:
            named = _bounded(name, self._agents)
            found = self._agents.setdefault(named, OfAgent(named))
        return found

    def stats(self) -> Figures:
        """All figures as they stand."""
        agents, workflows = self._agents.items(), self._workflows.items()
        return Figures(
            started={name: each.started for name, each in workflows},
            ended={(name, status): n for name, each in workflows for status, n in each.ended.items()},
            duration={name: each.duration.snapshot() for name, each in workflows},
            steps={"call": self.calls, "ask": self.answers},
            retries=self.retries,
            calls=_calls(self._agents),
            failures={(name, kind): n for name, each in agents for kind, n in each.failures.items()},
            call_seconds={name: each.seconds.snapshot() for name, each in agents},
            tokens=_tokens(self._agents),
            cost={name: each.cost for name, each in agents},
            routes=dict(self.routes),
            taken_up=self.taken_up,
            facts=self.facts,
        )


def _calls(agents: Mapping[str, OfAgent]) -> dict[tuple[str, str], int]:
    returned = {(name, "returned"): each.returned for name, each in agents.items()}
    return returned | {(name, "failed"): each.failures.total() for name, each in agents.items()}


def _tokens(agents: Mapping[str, OfAgent]) -> dict[tuple[str, str], int]:
    taken = {(name, "input"): each.tokens_in for name, each in agents.items()}
    return taken | {(name, "output"): each.tokens_out for name, each in agents.items()}


def _bounded(name: str, known: Mapping[str, object]) -> str:
    return name if len(known) < NAMES else OTHERS
