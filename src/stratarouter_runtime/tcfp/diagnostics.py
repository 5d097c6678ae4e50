"""What is wrong with a flow, said so that its author can mend it.

A diagnostic is one mistake: a stable code (E1xx document, E2xx expression, E3xx
types and flow, E33x effects, E34x policy, E35x limits; W: warning), the place,
what is wrong there, and what to do. Must never know: how mistakes are found.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.tcfp.ir import Where


_MAX_TEXT: Final = 1_000
_MAX_WORDS: Final = 500


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One mistake in a document. Lines and columns start at 1; 0 where there is no text."""

    code: str
    pointer: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def severity(self) -> Literal["error", "warning"]:
        """Warnings carry a code with W; everything else stops the flow from being compiled."""
        return "warning" if self.code.startswith("W") else "error"

    @override
    def __str__(self) -> str:
        hint = f"  [hint: {self.hint}]" if self.hint else ""
        return f"{self.line}:{self.column} {self.severity} {self.code} {self.pointer}: {self.message}{hint}"


class Diagnostics:
    """Collects every diagnostic of one document, in the order of the text at the end."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def add(self, code: str, at: Where, message: str, hint: str = "") -> None:
        """Note one mistake; the same mistake at the same place is kept once."""
        found = Diagnostic(
            code=code,
            pointer=at.pointer,
            line=at.line,
            column=at.column,
            message=_cut(message),
            hint=_cut(hint),
        )
        self._found[found] = None

    @property
    def failed(self) -> bool:
        """Whether any diagnostic is an error."""
        return any(found.severity == "error" for found in self._found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All diagnostics in the order of the text."""
        return tuple(sorted(self._found, key=lambda found: (found.line, found.column, found.code)))


def _cut(text: str) -> str:
    """Types can be of any size; nobody reads more."""
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or the empty string. Of very many none is looked for."""
    words = list(known)
    near = difflib.get_close_matches(wrong, words, n=1, cutoff=0.6) if len(words) <= _MAX_WORDS else []
    return f"did you mean '{near[0]}'?" if near else ""
