from __future__ import annotations

import io
import re
import typing

import pytest
from typing_extensions import override

from stratarouter_runtime.cli.live import Growing, Lines, observer
from stratarouter_runtime.cli.words import LONGEST, Names, say, step_of, value_text
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId, FlowId, StepPath
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state import events
from stratarouter_runtime.state.events import Event, Failure, Record, Usage
from stratarouter_runtime.tcfp.plan import Plan

STEP = StepPath("0")
DIGEST = Digest("ab" * 32)
BILLING = AgentName("billing")

SAID: list[tuple[Event, str]] = [
    (events.Started("exec_1", DIGEST, {}, "5eed", LOCAL), "started on plan abababababab with seed 5eed"),
    (events.Dispatched(STEP), "calls"),
    (events.Returned(STEP, DIGEST), "done"),
    (
        events.Returned(
            STEP, DIGEST, attempt=2, usage=Usage(usd=0.002, tokens_in=1000, tokens_out=500, ms=12)
        ),
        "done (attempt 2) in 12.0 ms, $0.002, 1,500 tokens",
    ),
    (events.Failed(STEP, DIGEST, Failure("timeout", "too slow")), "failed: timeout: too slow"),
    (events.Scored(STEP, DIGEST, (0.1, 0.2)), "compared 2 candidates"),
    (events.Chosen(STEP, BILLING, "rule", rule=0), "chose billing by rule 0"),
    (events.Chosen(STEP, BILLING, "meaning", scores=(0.1, 0.616)), "chose billing by meaning (0.62)"),
    (events.Chosen(STEP, BILLING, "else"), "chose billing, for nothing else fits"),
    (events.Asked(STEP, 9, "bool", "boss"), "asks boss for bool until 1970-01-01T00:00:00.000009Z"),
    (
        events.Asked(STEP, 0, "{happened: bool}", interrupted="pay"),
        "asks whether the call of pay happened: {happened: bool}",
    ),
    (
        events.Interrupted(STEP, attempt=2),
        "interrupted (attempt 2): whether it took effect is not known",
    ),
    (events.Migrated(Digest("ab" * 32), "ann"), "goes on with plan abababababab, by ann"),
    (events.Answered(STEP, value=True, by="ann"), "answered by ann: true"),
    (events.TimerFired(STEP, "retry"), "tries again"),
    (events.CancelRequested("late", "ann"), "cancellation requested by ann: late"),
    (events.Finished("completed"), "completed"),
    (events.Finished("failed", failure=Failure("bad")), "failed: bad"),
]


@pytest.mark.parametrize(("event", "says"), SAID, ids=[type(event).__name__ for event, _ in SAID])
def test_every_fact_is_said_in_words(event: Event, says: str) -> None:
    assert say(event) == says


def test_the_table_above_holds_every_kind_of_fact() -> None:
    assert {type(event) for event, _ in SAID} == set(typing.get_args(Event))


def test_only_facts_about_the_whole_have_no_step() -> None:
    whole = {type(event).__name__ for event, _ in SAID if step_of(event) is None}
    assert whole == {"Started", "CancelRequested", "Migrated", "Finished"}


@pytest.mark.parametrize(("path", "name"), [("0", "a"), ("4/each[7]", "let[7]"), ("99", "99")])
def test_a_path_is_named_as_its_author_does(everything: Plan, path: str, name: str) -> None:
    paths = {op.path for op in everything.ops}
    assert path.partition("[")[0] in paths or path == "99", sorted(paths)
    assert Names(everything).of(path) == name


def test_a_long_value_is_cut() -> None:
    assert len(value_text("x" * 1000)) == LONGEST


def facts(*body: Event) -> tuple[Execution, list[Record], list[Event]]:
    row = Execution(ExecutionId("exec_1"), LOCAL, FlowId("f"), DIGEST, "running", 1_000_000, 1_000_000, 0)
    records = [Record(n, 1_000_000 + n * 1500, b"", b"") for n in range(len(body))]
    return row, records, list(body)


def test_off_a_terminal_every_fact_is_one_line(everything: Plan) -> None:
    out = io.StringIO()
    watcher = observer(everything, out)
    assert isinstance(watcher, Lines)
    watcher.recorded(*facts(events.Dispatched(STEP), events.Finished("completed")))
    assert out.getvalue() == "   0.000s a: calls\n   0.002s completed\n"


def test_on_a_terminal_the_tree_shows_the_latest_fact_of_each_step(everything: Plan) -> None:
    class Terminal(io.StringIO):
        @override
        def isatty(self) -> bool:
            return True

    out = Terminal()
    watcher = observer(everything, out)
    assert isinstance(watcher, Growing)
    with watcher:
        watcher.recorded(
            *facts(events.Dispatched(STEP), events.Returned(STEP, DIGEST), events.Finished("completed"))
        )
    shown = re.sub(r"\x1b\[[?0-9;]*[a-z]", "", out.getvalue())
    assert "✓ a  done" in shown
    assert "every.thing  completed" in shown
