"""Errors and diagnostics as text: what, where, and what to do.

Pure functions from records to lines. Must never know: terminals, files, or how a mistake
was found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from stratarouter_runtime.errors import InvalidFlow, InvalidInput, StrataError
from stratarouter_runtime.tcfp.diagnostics import Diagnostic

WIDTH: Final = 100
"""Columns of source shown around a mistake; longer lines are cut on both sides."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TOKEN: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[\w.@-]+")


class Rejected(InvalidFlow):
    """A flow that cannot be compiled, together with the text that its diagnostics are about."""

    def __init__(self, name: str, source: str, found: tuple[Diagnostic, ...]) -> None:
        super().__init__(f"{name}: {verdict(found)}", diagnostics=found)
        self.shown = diagnostics(found, source, name)


def error(problem: StrataError) -> str:
    """An error in two or three lines: `error: what`, `  at where`, `  hint: what to do`.

    A flow that was rejected comes with every diagnostic first.
    """
    if isinstance(problem, Rejected):
        return f"{problem.shown}\nerror: {problem.message}"
    lines = [f"error: {problem.message}"]
    if isinstance(problem, InvalidInput) and problem.pointer:
        lines.append(f"  at {problem.pointer}")
    if problem.hint:
        lines.append(f"  hint: {problem.hint}")
    return "\n".join(lines)


def diagnostics(found: Iterable[Diagnostic], source: str, name: str) -> str:
    """Every diagnostic of the document `name` with its source line and a caret under the place."""
    text = source.splitlines()
    return "\n".join(diagnostic(each, text, name) for each in found)


def diagnostic(found: Diagnostic, text: Sequence[str], name: str) -> str:
    """One diagnostic: where and what, the line with carets, the hint.

    `text` are the lines of the document; without a place in it (a flow built in Python,
    or a document that is empty) the JSON Pointer alone says where.
    """
    place = f"{name}:{found.line}:{found.column}" if found.line else name
    lines = [f"{place}: {found.severity} {found.code}: {found.message}"]
    if 0 < found.line <= len(text):
        lines += excerpt(text[found.line - 1], found.line, found.column, found.pointer)
    elif found.pointer:
        lines.append(f"  at {found.pointer}")
    if found.hint:
        lines.append(f"  hint: {found.hint}")
    return "\n".join(lines)


def excerpt(line: str, number: int, column: int, pointer: str) -> list[str]:
    """The source line under its number, and carets under the token that starts at `column`."""
    start = min(max(column - 1, 0), len(line))
    token = _TOKEN.match(line, start)
    end = token.end() if token else start + 1
    left = max(0, start - WIDTH // 2) if len(line) > WIDTH else 0
    shown = printable(line[left : left + WIDTH])
    # A tab stays a tab, so that the caret lands under its character whatever the terminal's stops.
    indent = "".join("\t" if char == "\t" else " " * cells(char) for char in line[left:start])
    carets = "^" * max(1, sum(map(cells, line[start : min(end, left + WIDTH)])))
    return [f"{number:>5} | {shown}", f"      | {indent}{carets} {pointer}".rstrip()]


def cells(char: str) -> int:
    """The columns that a character takes on a terminal: two if it is wide, none if it joins another."""
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def printable(text: str) -> str:
    """`text` without what would command the terminal: controls but tab and newline become U+FFFD."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def verdict(found: Sequence[Diagnostic]) -> str:
    """How many mistakes of each kind: `2 errors, 1 warning`; empty where there are none."""
    errors = sum(each.severity == "error" for each in found)
    counts = (("error", errors), ("warning", len(found) - errors))
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in counts if n)


def internal(problem: Exception) -> str:
    """A defect of the runtime, told without a traceback: what, where in the code, what to do."""
    lines = [f"error: a defect of the runtime: {type(problem).__name__}: {problem}"]
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"  at {trace.tb_frame.f_globals.get('__name__', '?')}.{code.co_name}:{trace.tb_lineno}")
    lines.append("  hint: this is no mistake of yours; please report it with the command you ran")
    return "\n".join(lines)
