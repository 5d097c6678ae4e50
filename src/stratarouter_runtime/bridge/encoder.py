"""What an encoder is.

Must never know: which there are, who asks, or what is routed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
"""One row a text; every row has length 1, save that of a text without any features, which is 0."""


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
