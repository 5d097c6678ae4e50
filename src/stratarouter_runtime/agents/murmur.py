"""Text on its way to whoever watches, whole words at a time, so that no secret gets past in pieces.

Must never know: who says it, or who listens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stratarouter_runtime.agents.secrets import Secrets

_LONGEST: Final = 4_096
"""Characters without a space that are held back; then they go on as they are."""


class Murmur:
    """Passes pieces of text on, each without the secrets that were given out."""

    def __init__(self, secrets: Secrets, pass_on: Callable[[str], None]) -> None:
        self._secrets = secrets
        self._pass_on = pass_on
        self._raw = ""
        """What a secret may have begun in."""
        self._clean = ""
        """What is without secrets, and waits for the end of its word."""

    def hear(self, piece: str) -> None:
        """Take a piece; what ends with a space goes on, as far as no secret may have begun there."""
        self._raw += piece
        self._clear(self._secrets.decided(self._raw))
        end = max(self._clean.rfind(" "), self._clean.rfind("\n")) + 1
        if end or len(self._clean) >= _LONGEST:
            self._emit(end or len(self._clean))

    def end(self) -> None:
        """Nothing more comes: the rest goes on."""
        self._clear(len(self._raw))
        if self._clean:
            self._emit(len(self._clean))

    def _clear(self, end: int) -> None:
        self._clean += self._secrets.scrub(self._raw[:end])
        self._raw = self._raw[end:]

    def _emit(self, end: int) -> None:
        text, self._clean = self._clean[:end], self._clean[end:]
        self._pass_on(text)
