from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from stratarouter_runtime.cli import app
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.tcfp.text.reading import MAX_BYTES

GOOD = 'tcfp: "1.0"\nflow: good\nin: {n: int}\nout: int\ndo: [{id: a, let: =n + 1}]\nreturn: =a\n'
BAD = GOOD.replace("=n + 1", "=m + 1").replace("flow: good", "flow: bad\nflw: x")


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.yaml").write_text(BAD)
    return str(tmp_path / "bad.yaml")


def test_a_good_flow_is_told_in_one_line(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["validate", good]) == Exit.OK
    assert capsys.readouterr().out == f"{good}: ok, good, pure, worst case 1 step\n"


def test_one_bad_flow_among_good_ones_makes_the_call_fail(
    good: str, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["validate", good, bad]) == Exit.BAD_INPUT
    told = capsys.readouterr().out
    assert f"{good}: ok" in told
    assert f"{bad}:3:1: error E" in told
    assert "flw: x" in told
    assert "hint: did you mean 'flow'?" in told
    assert told.endswith(f"{bad}: 1 error\n")


def test_json_carries_every_diagnostic(good: str, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["validate", good, bad, "/no/such/flow", "--json"]) == Exit.BAD_INPUT
    first, second, third = json.loads(capsys.readouterr().out)
    assert (first["ok"], first["flow"], len(first["digest"])) == (True, "good", 64)
    assert not second["ok"]
    assert second["diagnostics"][0] | {"message": "", "code": ""} == {
        "code": "",
        "pointer": "/flw",
        "line": 3,
        "column": 1,
        "message": "",
        "hint": "did you mean 'flow'?",
    }
    assert third == {"file": "/no/such/flow", "ok": False, "error": "no file /no/such/flow"}


def test_json_and_yaml_of_one_flow_have_one_digest(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = {"return": "=a", "do": [{"let": "=n + 1", "id": "a"}], "out": "int", "in": {"n": "int"}}
    (tmp_path / "same.json").write_text(json.dumps({"tcfp": "1.0", "flow": "same", **same}))
    assert app.run(["validate", good, str(tmp_path / "same.json"), "--json"]) == Exit.OK
    first, second = json.loads(capsys.readouterr().out)
    assert first["digest"] == second["digest"]


def test_standard_input_is_a_flow_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert app.run(["validate", "-"]) == Exit.OK
    assert capsys.readouterr().out.startswith("<standard input>: ok")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "E103"),
        (b"\xff\xfe", "E105"),
        (b" " * (MAX_BYTES + 1), "E106"),
        (b"a: &x 1", "E115"),
        (b"[" * 10_000, "E107"),
    ],
)
def test_what_is_no_flow_is_a_diagnostic(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    assert app.run(["validate", str(path)]) == Exit.BAD_INPUT
    assert says in capsys.readouterr().out


def test_a_folder_is_no_flow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["validate", str(tmp_path)]) == Exit.BAD_INPUT
    assert "Is a directory" in capsys.readouterr().out


def test_python_is_no_document_and_how_to_get_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flows.py").write_text("x: int = 1\n")
    assert app.run(["validate", f"{tmp_path}/flows.py:triage"]) == Exit.BAD_INPUT
    assert "FLOW.document" in capsys.readouterr().out
