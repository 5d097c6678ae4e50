"""JSON Schema 2020-12 to types: what a type can say, and a list of what it cannot.

The type refuses nothing that the schema accepts, with these exceptions, by design of the
language: an integer has no fraction and at most 53 bits, and the formats of times, durations
and base64 are checked. It may accept more: null and absent are one, further properties are
dropped, and the keywords in `Mapped.leftovers` are not looked at. Must never know how a
schema is validated.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from stratarouter_runtime.canonical import escape
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.json_schema import combining
from stratarouter_runtime.tcfp.json_schema.documents import Document, invalid, listed, named
from stratarouter_runtime.tcfp.json_schema.keywords import (
    ALWAYS_LEFT,
    DIALECTS,
    KINDS,
    LIMITING,
    is_kind,
    type_of_constant,
)
from stratarouter_runtime.tcfp.json_schema.writing import LABELS, TYPE
from stratarouter_runtime.tcfp.relations import is_never, join, nullable, optional
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    JSON,
    NEVER,
    STRING,
    TIME,
    ListType,
    MapType,
    Type,
    enum,
    labelled,
    record,
)

MAX_SCHEMAS: Final = 10_000
"""How many schemas are read in one document; each use of a definition counts."""

_FORMATS: Final = {"date-time": TIME, "duration": DURATION}


class Mapped(Struct, frozen=True):
    """A schema as a type. `leftovers` are JSON Pointers of the keywords that the type does not say."""

    type: Type
    leftovers: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def from_schema(schema: Any) -> Mapped:
    """The type of a schema; `$ref` is followed within the document, where recursive it is `json`.

    Raises `InvalidInput`, with the pointer, for what is no schema, refers to another document,
    or is deeper or larger than a type may be.
    """
    reader = _Reader(Document(schema))
    type_ = reader.read(schema, "")
    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    if dialect is not None and not str(dialect).removesuffix("#").endswith(DIALECTS):
        reader.leave("/$schema")
    return Mapped(type_, tuple(reader.leftovers), tuple(reader.warnings))


class _Reader:
    """Reads one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[str] = []
        self._read = 0
        # A dictionary is an ordered set here: a definition used twice is reported once.
        self.leftovers: dict[str, None] = {}
        self.warnings: list[Diagnostic] = []

    def leave(self, pointer: str) -> None:
        """Note a keyword that the type does not say."""
        self.leftovers[pointer] = None

    def read(self, schema: Any, pointer: str) -> Type:
        """The type of the schema at `pointer`."""
        self._read += 1
        if self._read > MAX_SCHEMAS:
            raise invalid(f"the schema holds more than {MAX_SCHEMAS} schemas", pointer)
        if isinstance(schema, bool):
            return JSON if schema else NEVER
        if not isinstance(schema, dict):
            raise invalid("a schema is an object, true or false", pointer)
        for keyword in ALWAYS_LEFT:
            if keyword in schema and not (keyword == "not" and schema["not"] == {}):
                self.leave(f"{pointer}/{keyword}")
        type_ = self._intersection(schema, pointer)
        return labelled(type_, frozenset(map(str, listed(schema, LABELS, pointer))))

    def _intersection(self, schema: dict[str, Any], pointer: str) -> Type:
        if schema.get("not") == {}:
            return NEVER
        type_ = self._stated(schema, pointer)
        for at, other in self._applied(schema, pointer):
            both = combining.meet(type_, other)
            if both is None:
                self.leave(at)
            else:
                type_ = both
        return type_

    def _applied(self, schema: dict[str, Any], pointer: str) -> list[tuple[str, Type]]:
        """The types that the schemas applied to the same value give, each with its pointer."""
        found: list[tuple[str, Type]] = []
        if "$ref" in schema:
            found.append((f"{pointer}/$ref", self._reference(schema["$ref"], f"{pointer}/$ref")))
        for index, part in enumerate(listed(schema, "allOf", pointer)):
            at = f"{pointer}/allOf/{index}"
            found.append((at, self.read(part, at)))
        if "anyOf" in schema:
            found.append((f"{pointer}/anyOf", join(*self._options(schema, "anyOf", pointer))))
        if "oneOf" in schema:
            options = self._options(schema, "oneOf", pointer)
            if "discriminator" not in schema and not combining.apart(options):
                self.leave(f"{pointer}/oneOf")
            found.append((f"{pointer}/oneOf", join(*options)))
        return found

    def _options(self, schema: dict[str, Any], keyword: str, pointer: str) -> list[Type]:
        options = listed(schema, keyword, pointer)
        return [self.read(option, f"{pointer}/{keyword}/{index}") for index, option in enumerate(options)]

    def _reference(self, reference: Any, at: str) -> Type:
        target = self._document.target(reference, at)
        if target in self._open or at.startswith(f"{target}/"):
            self._warn_recursive(reference, at)
            return JSON
        self._open.append(target)
        type_ = self.read(self._document.at(target, at), target)
        self._open.pop()
        return type_

    def _warn_recursive(self, reference: str, at: str) -> None:
        self.warnings.append(
            Diagnostic(
                code="W303",
                pointer=at,
                line=0,
                column=0,
                message=f"{reference} refers to itself, and is read as json",
                hint="types are not recursive: what lies below is not checked",
            )
        )

    # What a schema says itself.

    def _stated(self, schema: dict[str, Any], pointer: str) -> Type:
        if schema.get(TYPE) == "file":
            return FILE
        words = self._words(schema, pointer)
        if "const" in schema or "enum" in schema:
            return self._constants(schema, words, pointer)
        if words is None:
            self._leave_limits(schema, tuple(KINDS), set(), pointer)
            return JSON
        return join(*(self._kind(word, schema, pointer) for word in words))

    def _words(self, schema: dict[str, Any], pointer: str) -> tuple[str, ...] | None:
        if "type" not in schema:
            return None
        stated = schema["type"]
        words = tuple(stated) if isinstance(stated, list) else (stated,)
        for word in words:
            if not isinstance(word, str) or word not in KINDS:
                raise invalid(f"{word!r} is no type of JSON Schema", f"{pointer}/type")
        return words

    def _constants(self, schema: dict[str, Any], words: tuple[str, ...] | None, pointer: str) -> Type:
        keyword = "const" if "const" in schema else "enum"
        if keyword == "const" and "enum" in schema:
            self.leave(f"{pointer}/enum")
        values = [schema["const"]] if keyword == "const" else listed(schema, "enum", pointer)
        if words is not None:
            values = [value for value in values if any(is_kind(value, word) for word in words)]
        self._leave_limits(schema, tuple(KINDS), set(), pointer)
        members = [value for value in values if isinstance(value, str)]
        rest = [value for value in values if not isinstance(value, str)]
        types: list[Type] = [enum(members)] if members else []
        types += [type_of_constant(value) for value in rest]
        if any(value is not None and not isinstance(value, bool) for value in rest) or (
            BOOL in types and not (True in rest and False in rest)
        ):
            self.leave(f"{pointer}/{keyword}")
        return join(*types)

    def _kind(self, word: str, schema: dict[str, Any], pointer: str) -> Type:
        said: set[str] = set()
        match word:
            case "string":
                type_ = _text(schema, said)
            case "array":
                type_ = self._array(schema, said, pointer)
            case "object":
                type_ = self._object(schema, said, pointer)
            case _:
                type_ = KINDS[word]
        self._leave_limits(schema, (word,), said, pointer)
        return type_

    def _leave_limits(
        self, schema: dict[str, Any], words: tuple[str, ...], said: set[str], pointer: str
    ) -> None:
        for word in words:
            for keyword in LIMITING[word]:
                if keyword in schema and keyword not in said:
                    self.leave(f"{pointer}/{keyword}")

    def _array(self, schema: dict[str, Any], said: set[str], pointer: str) -> Type:
        if "items" not in schema or "prefixItems" in schema:
            return KINDS["array"]
        said.add("items")
        return ListType(self.read(schema["items"], f"{pointer}/items"))

    def _object(self, schema: dict[str, Any], said: set[str], pointer: str) -> Type:
        further = schema.get("additionalProperties", True)
        if "properties" in schema:
            if isinstance(further, bool):
                said.add("additionalProperties")
            return self._record(schema, said, pointer)
        if "patternProperties" in schema:
            return KINDS["object"]
        said.add("additionalProperties")
        if further is False:
            return record({})
        return MapType(self.read(further, f"{pointer}/additionalProperties"))

    def _record(self, schema: dict[str, Any], said: set[str], pointer: str) -> Type:
        properties = named(schema, "properties", pointer)
        required = {name for name in listed(schema, "required", pointer) if isinstance(name, str)}
        said.add("properties")
        if required <= properties.keys():
            said.add("required")
        fields: dict[str, Type] = {}
        for name, of in properties.items():
            at = f"{pointer}/properties/{escape(name)}"
            type_ = self.read(of, at)
            if is_never(type_):
                self.leave(at)
            else:
                fields[name] = type_ if name in required or nullable(type_) else optional(type_)
        return record(fields)


def _text(schema: dict[str, Any], said: set[str]) -> Type:
    if schema.get("contentEncoding") == "base64":
        said.add("contentEncoding")
        return BYTES
    format_ = schema.get("format")
    if isinstance(format_, str) and format_ in _FORMATS:
        said.add("format")
        return _FORMATS[format_]
    return STRING
