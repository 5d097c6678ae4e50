from __future__ import annotations

import json
from pathlib import Path

import pytest

from stratarouter_runtime.cli import app, doctor
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.settings import Settings


def test_a_healthy_machine_is_ok_and_the_disk_is_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "deep" / "store.db"
    assert app.run(["doctor", "--store", str(store), "--json"]) == Exit.OK
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(found) == {"runtime", "python", "machine", "sqlite", "store", "encoder", "sandbox", "server"}
    assert "a durable write takes" in found["store"]["says"]
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_makes_it_unavailable(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["doctor", "--store", "/proc/none/store.db"]) == Exit.UNAVAILABLE
    told = capsys.readouterr().out
    assert "NO  store" in told
    assert "hint: choose another place" in told


@pytest.mark.parametrize(
    ("settings", "ok", "says"),
    [
        (Settings(encoder="lexical"), True, "not meaning"),
        (Settings(encoder="endpoint"), False, "needs encoder.url"),
        (
            Settings(encoder="endpoint", encoder_url="http://x/v1", encoder_model="m", encoder_dimension=4),
            True,
            "endpoint: m at http://x/v1",
        ),
        (Settings(encoder_path=Path("/no/such/model")), False, "missing"),
    ],
)
def test_the_encoder_is_what_the_settings_say(settings: Settings, ok: bool, says: str) -> None:  # noqa: FBT001 - a row
    found = doctor.encoder(settings)
    assert found.ok is ok
    assert says in found.says


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "tokenizers" else "1")
    found = doctor.encoder(Settings())
    assert (found.ok, found.needed) == (False, False)
    assert found.says == "minilm: missing tokenizers"
    assert "[embed]" in found.hint
