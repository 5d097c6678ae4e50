"""What libyaml's complaints mean, said plainly; and expressions that YAML's rules have cut.

Must never know nodes or flows.
"""

from __future__ import annotations

import re
from typing import Final

import yaml
from msgspec import Struct


class Problem(Struct, frozen=True):
    """A syntax error: its place (1-based), what is wrong, and what to do."""

    line: int
    column: int
    message: str
    hint: str


# Part of libyaml's message -> what to say, and the hint.
_PLAIN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "mapping values are not allowed",
        "a ': ' where no key can stand",
        "quote the text, or put the key in its own line",
    ),
    (
        "did not find expected key",
        "this does not fit the mapping it stands in",
        "check the indentation of this line and of the one before",
    ),
    (
        "did not find expected '-' indicator",
        "this does not fit the list it stands in",
        "start the item with '- ', or check the indentation",
    ),
    ("did not find expected ',' or '}'", "',' or '}' is expected here", "close the '{', or quote the text"),
    ("did not find expected ',' or ']'", "',' or ']' is expected here", "close the '[', or quote the text"),
    (
        "could not find expected ':'",
        "a key without a ':'",
        "write key: value, or quote a text of several lines",
    ),
    ("found a tab character", "a tab in the indentation", "indent with spaces"),
    (
        "cannot start any token",
        "no value can start with this character",
        "quote the text; indent with spaces",
    ),
    ("unexpected end of stream", "a quoted text is not closed", "add the closing quote"),
    ("unknown escape", "no such escape in double quotes", "use single quotes, or write \\\\ for a backslash"),
    ("did not find expected hexdecimal", "the escape lacks hexadecimal digits", "write \\u and four digits"),
    ("invalid Unicode character escape", "the escape is no character", "write the character itself"),
    ("unexpected document indicator", "'---' or '...' inside a quoted text", "indent the line"),
    ("expected <document start>", "text after the end of the document", "check the indentation of this line"),
    ("block sequence entries are not allowed", "a list cannot start here", "start it in its own line"),
    ("block mapping keys are not allowed", "a mapping cannot start here", "start it in its own line"),
    ("did not find expected node content", "a value is expected here", "write the value, or null"),
    ("undefined alias", "aliases are not allowed", "write the value out"),
    ("undefined tag handle", "tags are not allowed", "remove the tag: types are declared"),
    ("incompatible YAML document", "another version of YAML is asked for", "remove the %YAML line"),
    ("directive", "a line that starts with '%' is not understood", "remove it, or quote the text"),
    ("control characters", "a control character", "remove it, or write it as \\x.. in double quotes"),
)


def explain(error: yaml.YAMLError, text: str) -> Problem:
    """A syntax error in plain words."""
    if isinstance(error, yaml.reader.ReaderError):
        line, column = _place(text, error.position)
        return Problem(
            line, column, "a control character", "remove it, or write it as \\x.. in double quotes"
        )
    index = _culprit(error, text)
    line, column = _place(text, index)
    if text[index : index + 1] == "\t":
        return Problem(line, column, "a tab where no tab may stand", "indent with spaces")
    said = f"{getattr(error, 'problem', None) or error}"
    for part, message, hint in _PLAIN:
        if part in said:
            return Problem(line, column, message, hint)
    return Problem(line, column, f"this is no YAML: {said}", "check indentation and quotes")


def _culprit(error: yaml.YAMLError, text: str) -> int:
    """The index of the mistake: for what is never closed, of where it was opened."""
    last = len(text.rstrip()) - 1
    marks = [getattr(error, name, None) for name in ("problem_mark", "context_mark")]
    places = [mark.index for mark in marks if mark is not None and mark.index <= last]
    return int(places[0]) if places else last


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


# An unquoted expression where a value can stand: after a key, a dash, a bracket or a comma.
_EXPRESSION: Final = re.compile(r"(?:^|[:\-\[{,?][ ]+|[\[{])(=)")


def broken_expression(error: yaml.YAMLError, text: str) -> tuple[int, int] | None:
    """Line and column of the unquoted expression that a syntax error is about, if it is about one."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return None
    lines = text.split("\n")
    for number in (mark.line, mark.line - 1):
        line = lines[number] if 0 <= number < len(lines) else ""
        end = mark.column if number == mark.line else len(line)
        starts = [found.start(1) for found in _EXPRESSION.finditer(line) if found.start(1) < max(end, 1)]
        if starts and _breakable(line[starts[-1] :]):
            return number + 1, starts[-1] + 1
    return None


def _breakable(expression: str) -> bool:
    """Whether the rest of a line holds anything that ends a plain scalar."""
    return bool(re.search(r": | #|:$|[,\[\]{}]", expression))


def cut_off(scalar: str, text: str, end: int, *, flow: bool) -> bool:
    """Whether YAML ended this plain expression before its author did.

    It did when a bracket or quote is open where it ended, and what follows is a comment
    or, between flow brackets, a comma or bracket.
    """
    if not _open(scalar):
        return False
    rest = text[end : end + 200].lstrip(" ")
    return rest.startswith("#") or (flow and rest[:1] in (",", "]", "}", "["))


def _open(expression: str) -> bool:
    """Whether a bracket or quote is left open; brackets inside of quotes do not count."""
    depth = 0
    quote = ""
    escaped = False
    for character in expression:
        if escaped:
            escaped = False
        elif quote:
            escaped = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
    return bool(quote) or depth > 0
