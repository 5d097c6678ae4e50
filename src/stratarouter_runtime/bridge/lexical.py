"""The floor: vectors of hashed words and letter n-grams, without a model.

Texts are near where they share words or parts of words; meaning plays no part, and
the name says so. Must never know: what the vectors are compared with.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final
from zlib import crc32

import numpy as np
from typing_extensions import override

from stratarouter_runtime.bridge.encoder import Encoder, Vectors

_WORD: Final = re.compile(r"\w+")
_SIZES: Final = (3, 4, 5)
_DIMENSION: Final = 1024


class HashedNgrams(Encoder):
    """Signed feature hashing of words and of their 3- to 5-grams, with damped counts."""

    @property
    @override
    def identity(self) -> str:
        return f"lexical-hashed-ngrams/1/{_DIMENSION}"

    @property
    @override
    def dimension(self) -> int:
        return _DIMENSION

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for feature, count in Counter(_features(text)).items():
                code = crc32(feature.encode())
                # One bit of the hash is the sign, so that collisions cancel out on average.
                row[code % _DIMENSION] += math.copysign(1.0 + math.log(count), (code >> 31) - 0.5)
            row /= np.linalg.norm(row) or 1.0
        return vectors


def _features(text: str) -> Iterator[str]:
    for word in _WORD.findall(text.lower()):
        yield word
        edged = f"<{word}>"
        for size in _SIZES:
            for start in range(len(edged) - size + 1):
                yield edged[start : start + size]
