from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from stratarouter_runtime.cli import app
from stratarouter_runtime.cli.exits import BY_CODE, Exit, of_failure
from stratarouter_runtime.errors import LimitExceeded, StoreFull, StrataError


@pytest.mark.parametrize("command", app.COMMANDS, ids=lambda command: command.name)
def test_every_command_resolves_and_documents_its_parameters(
    command: app.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([command.name, "--help"]) == Exit.OK
    assert command.help.rstrip(".") in capsys.readouterr().out
    module, _, name = command.target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["valdate"], "validate"),
        (["validate", "--jsn"], "--jsn"),
        (["graph"], "FLOW"),
        (["validate"], "no flow is named"),
        (["graph", "--mermiad", "x"], "--mermiad"),
    ],
)
def test_a_wrong_command_line_is_bad_input_with_advice(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(arguments) == Exit.BAD_INPUT
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert says in told
    assert "hint: strata" in told


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (LimitExceeded("no room"), Exit.LIMIT),
        (StoreFull("disk full"), Exit.UNAVAILABLE),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ZeroDivisionError("oops"), Exit.UNAVAILABLE),
    ],
)
def test_what_a_command_raises_becomes_an_exit_code_and_no_traceback(
    raised: BaseException, code: Exit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> NoReturn:
        raise raised

    monkeypatch.setattr("stratarouter_runtime.cli.doctor.doctor", fail)
    assert app.run(["doctor"]) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert str(raised) in told


def test_every_error_code_has_an_exit_code() -> None:
    def codes(error: type[StrataError]) -> set[str]:
        return {error.code}.union(*(codes(child) for child in error.__subclasses__()))

    assert codes(StrataError) == set(BY_CODE)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("limit.usd", Exit.LIMIT), ("limit", Exit.LIMIT), ("limits.own", Exit.FAILED), ("timeout", Exit.FAILED)],
)
def test_a_failed_execution_tells_a_limit_from_the_rest(kind: str, code: Exit) -> None:
    assert of_failure(kind) is code


def test_help_loads_no_command_and_no_engine() -> None:
    script = (
        "import sys; from stratarouter_runtime.cli.app import run; run(['--help']);"
        "print([m for m in ('numpy', 'apsw', 'yaml', 'asyncio', 'uvicorn', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("streams", "code", "says"),
    [
        (">/dev/full", Exit.UNAVAILABLE, "error: the output cannot be written: No space left on device\n"),
        (">&-", Exit.OK, ""),
        (">/dev/null 2>&-", Exit.OK, ""),
        ("<&- >&- 2>&-", Exit.OK, ""),
    ],
)
def test_streams_that_are_closed_or_full_are_no_defect(streams: str, code: Exit, says: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        ["sh", "-c", f'"$0" -m stratarouter_runtime doctor --json {streams}', sys.executable],  # noqa: S607 - any sh
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, says)


def test_output_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text('tcfp: "1.0"\nflow: f\nout: string\ndo: [{let: "=「日本」"}]\n')
    done = subprocess.run(
        [sys.executable, "-m", "stratarouter_runtime", "validate", "f.yaml"],
        cwd=tmp_path,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == Exit.BAD_INPUT
    assert '    4 | do: [{let: "=「日本」"}]\n' in done.stdout.decode()
    assert done.stderr == b""
