"""What an encoder is, and the one place where it is chosen by name.

The choice is the operator's and explicit: another encoder means other distances, so
nothing here falls back from one to another by itself. Must never know: who asks, or
what is routed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from stratarouter_runtime.errors import InvalidSetting

Vectors: TypeAlias = npt.NDArray[np.float32]
"""One row a text; every row has length 1, save that of a text without any features, which is 0."""

EncoderName: TypeAlias = Literal["minilm", "lexical"]
ENCODERS: Final[tuple[EncoderName, ...]] = ("minilm", "lexical")


class Encoder(Protocol):
    """Turns texts into vectors. Called by one thread at a time, which it may block.

    The same text gives the same vector, bit by bit, whatever it is batched with.
    """

    @property
    def identity(self) -> str:
        """Model, variant and dimension. Known without loading anything."""
        ...

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of these texts, in order. The first call may load the model."""
        ...


def open_encoder(name: str, *, folder: Path | None = None) -> Encoder:
    """The encoder of this name; raises `InvalidSetting` where it is unknown or not installed.

    `folder` is where `minilm` finds its `model.onnx` and `tokenizer.json`, instead of in the
    packages of the extra `embed`. Nothing heavy is loaded before the first text.
    """
    match name:
        case "minilm":
            from stratarouter_runtime.bridge.minilm import MiniLM, find_files  # noqa: PLC0415 - start-up cost

            return MiniLM(find_files(folder))
        case "lexical":
            from stratarouter_runtime.bridge.lexical import HashedNgrams  # noqa: PLC0415 - start-up cost

            return HashedNgrams()
        case _:
            raise InvalidSetting(
                f"there is no encoder '{name}'", hint=f"choose one of: {', '.join(ENCODERS)}"
            )
