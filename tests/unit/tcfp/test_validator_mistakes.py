"""Seeded mistakes: each gets exactly one diagnostic, at its place, with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.validator import validate
from tests.unit.tcfp.checking import example, flow

FOLDER = Path(__file__).parent / "mistakes"
MISTAKES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "mistakes.yaml").read_text(encoding="utf-8"))


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


# The diagnostics that the design of the language shows, word for word; only E216 stands one column
# further right, where the operator really is.
SHOWN = [
    (
        "support_triage",
        'if: =c.urgency == "high"',
        'if: =c.urgncy == "high"',
        "57:12 error E211 /do/2/if: no field 'urgncy' in {confidence: float, intent: [billing, other, tech], "
        "urgency: [high, low]}  [hint: did you mean 'urgency'?]",
    ),
    (
        "support_triage",
        'c.intent == "billing" &&',
        'c.intent == "biling" &&',
        "48:28 error E216 /do/1/rules/0/when: [billing, other, tech] can never equal [biling]  "
        "[hint: did you mean 'billing'?]",
    ),
    (
        "support_triage",
        "'=p != null ? p.page : null'",
        "=p.page",
        "63:12 error E212 /return/page: {page: string}? may be null here  "
        "[hint: test it first (p != null ? … : …) or use orValue()]",
    ),
    (
        "support_triage",
        "why: urgent ticket",
        "why: =ticket.body",
        "59:41 error E340 /do/2/with/why: page_oncall.why: value carries @pii, which the receiver does not accept  "
        "[hint: add accepts: to the agent or redact first]",
    ),
    (
        "support_triage",
        "    effect: pure\n    accepts: [pii]",
        "    effect: effect\n    accepts: [pii]",
        "42:12 error E330 /do/0/retry: retry of a side-effecting step may apply the effect twice  "
        "[hint: make the agent idempotent, or write unsafe: true]",
    ),
    (
        "approval",
        "      deny: { let: { by: policy, verdict: reject, note: =v.why } }\n",
        "",
        "24:7 error E317 /do/1/cases: not exhaustive: missing deny  [hint: add the cases or else:]",
    ),
    (
        "map_reduce",
        "max: 200",
        "max: 1000",
        "9:9 error E350 /limits: worst case is 2002 steps, limit 1000  "
        "[hint: lower max: or raise limits.steps (host cap 1000)]",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "shown"), SHOWN)
def test_diagnostics_read_as_the_design_shows_them(name: str, old: str, new: str, shown: str) -> None:
    assert shown in [str(found) for found in found_in(example(name), old, new)]
