"""Where the characters of a text stand whose writing is not simply the text itself.

Escapes, doubled quotes, folded lines and indentation put what follows them elsewhere than in
the next column. Must never know what the text means.
"""

from __future__ import annotations

import re
from typing import Final

from stratarouter_runtime.tcfp.ir import Jump

_BREAK: Final = re.compile(r"[ \t]*(?:\\?\r?\n[ \t]*)+")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ESCAPE: Final = re.compile(
    r"\\(?:x..|u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|U........|.)",
)


def jumps(written: str, text: str, line: int, column: int, quote: str = "") -> tuple[Jump, ...]:
    """The places at which reading `text` in `written` goes on elsewhere than in the next column.

    `written` starts at `line` and `column` and is without the quotes around it; `quote` is the
    one used. Where the two cannot be followed any more, the last jump found is the last one.
    """
    found: list[Jump] = []
    at = read = margin = 0
    while at < len(written) and read < len(text):
        taken, given = _next(written, at, text, read, quote)
        if not taken:
            break
        if newlines := written.count("\n", at, at + taken):
            line += newlines
            margin, column = written.rfind("\n", at, at + taken) + 1, 1
        at, read = at + taken, read + given
        if taken != given or newlines:
            found.append((read, line, column + at - margin))
    return tuple(found)


def _next(written: str, at: int, text: str, read: int, quote: str) -> tuple[int, int]:
    """How many characters of `written` make how many of `text`; none where they do not agree."""
    if folded := _BREAK.match(written, at):
        space = _SPACE.match(text, read)
        return len(folded[0]), len(space[0]) if space else 0
    if quote == '"' and (escape := _ESCAPE.match(written, at)):
        return len(escape[0]), 1
    if quote == "'" and written.startswith("''", at):
        return 2, 1
    return (1, 1) if written[at] == text[read] else (0, 0)
