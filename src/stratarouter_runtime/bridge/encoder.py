"""What an encoder is.

Must never know: which there are, who asks, or what is routed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Vectors: TypeAlias = npt.NDArray[np.float32]
"""One row a text; every row has length 1, save that of a text without any features, which is 0."""


class Place(Struct, frozen=True):
    """Where an encoder is that runs elsewhere: the base of its endpoint, and which model is asked there.

    `dimension` is the length of the model's vectors: it has to be known before anything is asked. `key`
    reads the key each time, so that one that was exchanged holds at once.
    """

    url: str
    model: str
    dimension: int
    key: Callable[[], str] | None = None


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
