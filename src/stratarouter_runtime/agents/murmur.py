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
        self._held = ""

    def hear(self, piece: str) -> None:
        """Take a piece; what ends with a space goes on."""
        self._held += piece
        end = max(self._held.rfind(" "), self._held.rfind("\n")) + 1
        if not end and len(self._held) < _LONGEST:
            return
        self._emit(end or len(self._held))

    def end(self) -> None:
        """Nothing more comes: the rest goes on."""
        if self._held:
            self._emit(len(self._held))

    def _emit(self, end: int) -> None:
        text, self._held = self._held[:end], self._held[end:]
        self._pass_on(self._secrets.scrub(text))
