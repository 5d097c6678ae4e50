"""Every example through the command line: it runs, and replays to the same bytes in any process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.commandline import EXAMPLES, Done, strata

FLOWS = ("approval", "map_reduce", "rag_judge", "saga", "support_triage", "triage")


def run(example: str, store: Path, *more: str) -> Done:
    folder = EXAMPLES / example
    options = ("--input", f"@{folder / 'input.json'}", "--seed", "7", "--store", store, "--json")
    return strata("run", folder / "flow.yaml", *options, *more, cwd=store.parent)


def replays(execution: str, store: Path) -> list[dict[str, Any]]:
    """What three processes find, each with another order of hashes."""
    found = [strata("replay", execution, "--store", store, "--json", cwd=store.parent) for _ in range(3)]
    assert [each.code for each in found] == [0, 0, 0]
    return [each.json for each in found]


@pytest.mark.parametrize("example", FLOWS)
def test_an_example_runs_and_replays_to_the_same_digest_three_times(example: str, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    ended = run(example, store)
    assert ended.code == 0, ended.err
    row = ended.json
    assert row["status"] == "completed"
    first, second, third = replays(row["id"], store)
    assert first == second == third
    assert first["reproducible"] is True
    assert (first["plan"], first["records"]) == (row["plan"], row["records"])


def test_equal_seeds_and_inputs_give_equal_plans_and_outputs(tmp_path: Path) -> None:
    """Triage draws nothing from the keys of its calls, so nothing tells two runs of it apart but the clock."""
    first, second = (run("triage", tmp_path / name).json for name in ("a.db", "b.db"))
    assert (first["plan"], first["output"]) == (second["plan"], second["output"])
    assert first["id"] != second["id"]


def test_a_question_is_asked_answered_once_and_replayed(tmp_path: Path) -> None:
    store, folder = tmp_path / "s.db", EXAMPLES / "approval"
    expense = tmp_path / "expense.json"
    expense.write_text(
        json.dumps({"expense": {"id": "E-9", "who": "ana@example.org", "usd": 950, "what": "chair"}})
    )
    asked = strata("run", folder / "flow.yaml", "--input", f"@{expense}", "--store", store, cwd=tmp_path)
    assert asked.code == 0
    assert "h asks finance-approvers for {note: string?, verdict: [approve, reject]}" in asked.err
    assert '"usd":950' in asked.err
    (row,) = strata("ps", "--json", "--store", store, cwd=tmp_path).json
    assert row["status"] == "waiting"

    def answer(step: str, value: str) -> Done:
        return strata("answer", row["id"], step, value, "--agents", folder, "--store", store, cwd=tmp_path)

    for step, value, says in (
        ("q", "{}", "no step 'q' asks anything"),
        ("h", "yes", "expected record, found string"),
        ("h", '{"verdict": "perhaps"}', "expected one of [approve, reject], found 'perhaps'"),
    ):
        refused = answer(step, value)
        assert (refused.code, refused.out) == (2, "")
        assert says in refused.err
    given = answer("h", '{"verdict": "approve"}')
    assert given.code == 0
    assert given.json["decided_by"] == "person"
    again = answer("h", '{"verdict": "reject"}')
    assert again.code == 2
    assert "has finished: completed" in again.err
    first, second, third = replays(row["id"], store)
    assert first == second == third
    assert first["records"] == 7
