"""A schema as a document: its parts by keyword and by pointer, each checked for its shape.

Must never know what keywords mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from stratarouter_runtime.errors import InvalidInput

MAX_DEPTH: Final = 64
"""How deep a schema may nest, as any document."""


def invalid(message: str, pointer: str, hint: str | None = None) -> InvalidInput:
    """The error of a schema that cannot be read."""
    return InvalidInput(f"{message} (at {pointer or 'the root'})", pointer=pointer, hint=hint)


def listed(schema: dict[str, Any], keyword: str, pointer: str) -> list[Any]:
    """The list under a keyword, empty where there is none."""
    found = schema.get(keyword, [])
    if not isinstance(found, list):
        raise invalid(f"{keyword} is a list", f"{pointer}/{keyword}")
    return found


def named(schema: dict[str, Any], keyword: str, pointer: str) -> dict[str, Any]:
    """The object under a keyword, empty where there is none."""
    found = schema.get(keyword, {})
    if not isinstance(found, dict):
        raise invalid(f"{keyword} is an object", f"{pointer}/{keyword}")
    return found


class Document:
    """One schema document, in which references are followed."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._nested = False
        for depth, part in _parts(root):
            if depth > MAX_DEPTH:
                raise invalid(f"the schema nests deeper than {MAX_DEPTH}", "")
            if depth and isinstance(part.get("$id"), str):
                self._nested = True

    def target(self, reference: Any, at: str) -> str:
        """The pointer that a local reference means."""
        if not isinstance(reference, str):
            raise invalid("a reference is text", at)
        if reference != "#" and not reference.startswith("#/"):
            raise invalid(
                f"the reference {reference!r} leaves the document, or names an anchor",
                at,
                "copy the definition under $defs and refer to it as #/$defs/Name",
            )
        if self._nested:
            raise invalid("references below a nested $id are not followed", at, "remove the inner $id")
        return unquote(reference[1:])

    def at(self, pointer: str, reference: str) -> Any:
        """What stands at `pointer`; `reference` is where it was referred to."""
        found = self._root
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise invalid(f"there is no {pointer} in the schema", reference)
        return found


def _parts(root: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object in the document with its depth, without recursion: depth is not yet bounded."""
    pending: list[tuple[int, Any]] = [(0, root)]
    while pending:
        depth, part = pending.pop()
        if isinstance(part, dict):
            yield depth, part
        below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        pending += [(depth + 1, item) for item in below]
