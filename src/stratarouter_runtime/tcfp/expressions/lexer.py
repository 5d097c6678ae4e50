"""Source text to tokens: the lexical rules of CEL, without unsigned numbers.

Must never know the grammar above tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from typing_extensions import override

TokenKind: TypeAlias = Literal["int", "float", "string", "bytes", "name", "quoted", "symbol", "end"]

INT_MAX: Final = 2**63 - 1

_KEYWORDS: Final = frozenset({"in", "true", "false", "null"})
_TOKEN: Final = re.compile(
    r"""(?P<space>(?:[ \t\n\f\r]|//[^\n]*)+)
    |(?P<text>[rR]?(?:\"\"\"|'''|"|')|[bB][rR]?(?:\"\"\"|'''|"|'))
    |(?P<float>(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>`[^`\n]+`)
    |(?P<symbol>\|\||&&|==|!=|<=|>=|[-+*/%!?:.,()\[\]{}<>])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip


class SyntaxProblem(Exception):
    """The source is no expression: where (0-based offset), what, how to mend it, and the code."""

    def __init__(self, offset: int, message: str, hint: str = "", code: str = "E201") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.hint = hint
        self.code = code

    @override
    def __str__(self) -> str:
        return f"{self.code} at {self.offset}: {self.message}"


class Token(Struct, frozen=True):
    """A token; `value` is the number, the decoded text, the name or the symbol."""

    kind: TokenKind
    value: int | float | str | bytes
    offset: int


def tokens(source: str) -> Iterator[Token]:
    """The tokens of `source`, the last of kind `end`; raises `SyntaxProblem`."""
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            hint = "compare with ==" if source[at] == "=" else ""
            raise SyntaxProblem(at, f"unexpected character {source[at]!r}", hint)
        kind, text = str(found.lastgroup), found.group()
        if kind == "text":
            token, at = _text(source, at, text)
            yield token
            continue
        if kind != "space":
            yield _token(source, kind, text, at)
        at = found.end()
    yield Token("end", "", len(source))


def _token(source: str, kind: str, text: str, at: int) -> Token:
    match kind:
        case "int" | "float":
            return _number(source, kind, text, at)
        case "quoted":
            return Token("quoted", text[1:-1], at)
        case "name" if text not in _KEYWORDS:
            return Token("name", text, at)
        case _:
            return Token("symbol", text, at)


def _number(source: str, kind: str, text: str, at: int) -> Token:
    follows = source[at + len(text) : at + len(text) + 1]
    if follows in ("u", "U"):
        raise SyntaxProblem(at, f"no unsigned numbers: {text}{follows}", f"write {text}", "E202")
    if follows.isalnum() or follows == "_":
        raise SyntaxProblem(at, f"not a number: {text}{follows}", code="E202")
    if kind == "float":
        return Token("float", float(text), at)
    hexadecimal = text[:2] in ("0x", "0X")
    if len(text) > 40:
        raise SyntaxProblem(at, "not a 64-bit int", "write a float: 1.0e40", "E202")
    return Token("int", int(text, 16 if hexadecimal else 10), at)


def _text(source: str, at: int, opening: str) -> tuple[Token, int]:
    """The string or bytes that starts at `at`, and where it ends."""
    prefix = opening.rstrip("\"'").lower()
    quote = opening[len(prefix) :]
    start = at + len(opening)
    end = _closing(source, start, quote, raw="r" in prefix)
    if end < 0:
        raise SyntaxProblem(at, "string without an end", f"close it with {quote}", "E202")
    body = source[start:end]
    if len(quote) == 1 and ("\n" in body or "\r" in body):
        raise SyntaxProblem(
            at, "string without an end on its line", "write \\n, or use triple quotes", "E202"
        )
    octets = "b" in prefix
    if octets:
        return Token("bytes", _decode_bytes(body, start, raw="r" in prefix), at), end + len(quote)
    return Token("string", body if "r" in prefix else _decode(body, start), at), end + len(quote)


def _closing(source: str, start: int, quote: str, *, raw: bool) -> int:
    """The offset of the closing quote, or -1."""
    at = start
    while at < len(source):
        if source.startswith(quote, at):
            return at
        at += 2 if source[at] == "\\" and not raw else 1
    return -1


def _decode(body: str, start: int) -> str:
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda found: _escape(found, start), body)


def _decode_bytes(body: str, start: int, *, raw: bool) -> bytes:
    """Escapes of bytes name octets; all other text is UTF-8."""
    if raw:
        return body.encode()
    parts: list[bytes] = []
    last = 0
    for found in _ESCAPE.finditer(body):
        parts.append(body[last : found.start()].encode())
        if found.lastindex in (3, 4):
            raise SyntaxProblem(
                start + found.start(), f"no {found.group()[:2]} in bytes", "write \\x..", "E202"
            )
        char = _escape(found, start)
        parts.append(bytes([ord(char)]))
        last = found.end()
    parts.append(body[last:].encode())
    return b"".join(parts)


def _escape(found: re.Match[str], start: int) -> str:
    offset = start + found.start()
    group = found.lastindex or 0
    digits = found.group(group)
    if group == 6:
        if digits not in _SIMPLE:
            raise SyntaxProblem(offset, f"no escape \\{digits}", "write \\\\ for a backslash", "E202")
        return _SIMPLE[digits]
    value = int(digits, 8 if group == 5 else 16)
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        raise SyntaxProblem(offset, f"no character {found.group()}", code="E202")
    return chr(value)
