"""Text in, document out: size, encoding, and which of the two notations it is in.

Never raises for bad text: every mistake is a diagnostic. Must never know what a flow is.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.text.json_notation import JsonReader
from stratarouter_runtime.tcfp.text.nodes import Builder, Document, Unreadable
from stratarouter_runtime.tcfp.text.yaml_notation import YamlReader

Kind: TypeAlias = Literal["yaml", "json"]
MAX_BYTES: Final = 1024 * 1024


def read_text(source: str | bytes, *, kind: Kind | None = None, max_bytes: int = MAX_BYTES) -> Document:
    """The nodes of a document in YAML 1.2 (core schema) or JSON, and all that is wrong with it.

    Without a `kind`, text that starts with `{` is tried as JSON, and is YAML otherwise:
    both notations give the same nodes. A document with anchors, aliases, tags, merge keys,
    duplicate keys or keys that are collections is read to its end all the same, so that
    the reader above can report its own mistakes too.
    """
    diagnostics = Diagnostics()
    text = _decode(source, diagnostics, max_bytes)
    if text is None:
        return Document(None, diagnostics.sorted())
    if not text or text.isspace():
        diagnostics.add("E103", Where("", 1, 1), "the document is empty", 'it starts with: tcfp: "1.0"')
        return Document(None, diagnostics.sorted())
    match kind:
        case "yaml":
            return _read(YamlReader, text)
        case "json":
            return _read(JsonReader, text)
        case None:
            return _guess(text)


def _guess(text: str) -> Document:
    start = text.lstrip()
    if not start.startswith("{"):
        return _read(YamlReader, text)
    as_json = _read(JsonReader, text)
    if as_json.root is not None:
        return as_json
    as_yaml = _read(YamlReader, text)
    looks_like_json = start[1:].lstrip().startswith('"')
    return as_json if as_yaml.root is None and looks_like_json else as_yaml


def _read(reader: type[YamlReader | JsonReader], text: str) -> Document:
    diagnostics = Diagnostics()
    builder = Builder(diagnostics)
    try:
        root = reader(text, builder).read()
    except Unreadable:
        return Document(None, diagnostics.sorted(), builder.places)
    return Document(root, diagnostics.sorted(), builder.places)


def _decode(source: str | bytes, diagnostics: Diagnostics, max_bytes: int) -> str | None:
    """The text without a byte order mark, or None after a diagnostic."""
    try:
        data = source.encode() if isinstance(source, str) else source
        if len(data) > max_bytes:
            message = f"the document is larger than {max_bytes} bytes"
            diagnostics.add("E106", Where("", 1, 1), message, "split it into several flows")
            return None
        text = source if isinstance(source, str) else source.decode()
    except UnicodeEncodeError as error:
        before = error.object[: error.start]
        diagnostics.add("E105", _end_of(before), "half of a surrogate pair", "write the whole character")
        return None
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        message = f"byte 0x{error.object[error.start]:02x} is no UTF-8"
        diagnostics.add("E105", _end_of(before), message, "save the file as UTF-8")
        return None
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")


def _end_of(text: str) -> Where:
    """The place after this text."""
    return Where("", text.count("\n") + 1, len(text) - text.rfind("\n"))
