from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from stratarouter_runtime.cli.app import run
from stratarouter_runtime.cli.exits import Exit

TABLE: Final = """name: agents
routes:
  - name: billing
    utterances: [I was charged twice, refund my invoice, why is my bill so high, where is my receipt]
  - name: tech
    utterances: [the app crashes, I cannot log in, the page does not load, error when I save]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yaml").write_text(TABLE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/local.toml").write_text('[encoder]\nname = "lexical"\n')
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_text_is_routed_by_a_table_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "my invoice is wrong", "--table", "t.yaml", "--json"]) == Exit.OK
    found = json.loads(said(capsys))
    assert (found["route"], found["runner_up"]) == ("billing", "tech")


def test_a_table_is_fitted_kept_and_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routing", "fit", "--table", "t.yaml", "--json"]) == Exit.OK
    assert json.loads(said(capsys))["promoted"] is False
    assert run(["route", "it crashes"]) != Exit.OK
    assert run(["routing", "fit", "--table", "t.yaml", "--promote"]) == Exit.OK
    assert "promoted" in said(capsys)
    assert run(["route", "the app crashes again"]) == Exit.OK
    assert said(capsys).startswith("tech  ")
    assert run(["routing", "fit", "--json"]) == Exit.OK
    again = json.loads(said(capsys))
    assert again["before"] == again["after"]


def test_the_table_of_another_tenant_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routing", "fit", "--table", "t.yaml", "--promote", "--tenant", "acme"]) == Exit.OK
    assert run(["route", "the app crashes", "--tenant", "acme"]) == Exit.OK
    assert run(["route", "the app crashes"]) == Exit.BAD_INPUT
    assert "no version of a routing table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["route", ""], "the query is empty"),
        (["route", "x", "--table", "nope"], "no version of a routing table 'nope'"),
        (["route", "x", "--table", "nope.yaml"], "no file nope.yaml"),
        (["routing", "fit", "--table", "nope"], "there is no such file"),
        (["route", "x", "--table", "bad.yaml"], "neither utterances nor a description"),
    ],
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], told: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.yaml").write_text("name: t\nroutes: [{name: a}]\n")
    assert run(arguments) != Exit.OK
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
