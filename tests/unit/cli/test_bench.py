from __future__ import annotations

import inspect

import pytest

from stratarouter_runtime.cli import app
from stratarouter_runtime.cli.bench import OPTIONS, PARTS, bench
from stratarouter_runtime.cli.exits import Exit


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--routing", "--http"], "--http and --routing: one part is measured at a time"),
        (["--long", "--soak", "3"], "--long and --soak"),
        (["--http", "--store", "postgresql://h/db"], "--store says nothing to the measure of http"),
        (["--routing", "--folder", "/data"], "--folder says nothing"),
        (["--cache", "--at-once", "5", "--executions", "3"], "--executions, --at-once says nothing"),
        (["--data", "/data"], "--data says nothing to the measure of engine"),
        (["--cache", "--data", "/data", "--folder", "/data"], "--folder says nothing"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["bench", *arguments]) == Exit.BAD_INPUT
    assert says in capsys.readouterr().err


def test_every_switch_has_a_part_and_every_option_one_that_takes_it() -> None:
    named = set(inspect.signature(bench).parameters) - {"json", *OPTIONS}
    assert named == PARTS.keys() - {"engine", "pairs"}
    assert {each for part in PARTS.values() for each in part.takes} == set(OPTIONS)
