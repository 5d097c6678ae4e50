"""Seeded mistakes: each gets exactly one diagnostic, at its place, with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.tcfp.checking import example, flow

from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.validator import validate

FOLDER = Path(__file__).parent / "mistakes"
MISTAKES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "mistakes.yaml").read_text(encoding="utf-8"))
SHOWN: list[dict[str, Any]] = yaml.safe_load((FOLDER / "shown.yaml").read_text(encoding="utf-8"))


def found_in(text: str, old: str, new: str) -> tuple[Diagnostic, ...]:
    assert text.count(old) == 1, "an edit has to be of one place"
    return validate(flow(text.replace(old, new))).diagnostics


def base(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["desk", "work"])
def test_the_flows_that_mistakes_are_put_into_have_none(name: str) -> None:
    assert not validate(flow(base(name))).diagnostics


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake["name"]))
def test_a_mistake_is_told_once_at_its_place_with_advice(mistake: dict[str, Any]) -> None:
    (found,) = found_in(base(mistake["flow"]), *mistake["edit"])
    line, column = map(int, mistake["at"].split(":"))
    assert found == Diagnostic(
        code=mistake["code"],
        pointer=mistake["pointer"],
        line=line,
        column=column,
        message=mistake["message"],
        hint=mistake["hint"],
    )
    assert found.hint


def test_there_are_mistakes_enough_and_no_two_alike() -> None:
    assert len(MISTAKES) >= 40
    assert len({(mistake["flow"], tuple(mistake["edit"])) for mistake in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("mistake", SHOWN, ids=lambda mistake: str(mistake["shown"]).split()[2])
def test_diagnostics_read_as_the_design_shows_them(mistake: dict[str, Any]) -> None:
    assert mistake["shown"] in [
        str(found) for found in found_in(example(mistake["example"]), *mistake["edit"])
    ]
