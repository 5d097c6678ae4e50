"""What the tests of expressions share: a scope of every kind of value, and ways to check and run."""

from __future__ import annotations

from typing import Any

from stratarouter_runtime.tcfp.diagnostics import Diagnostic, Diagnostics
from stratarouter_runtime.tcfp.expressions import Scope, compile_value
from stratarouter_runtime.tcfp.ir import Expression, Where
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.relations import optional
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    FLOAT,
    INT,
    JSON,
    STRING,
    TIME,
    ListType,
    MapType,
    RecordType,
    Type,
    UnionType,
    enum,
    labelled,
    record,
)

PII = frozenset({"pii"})
PAGE = record({"page": STRING, "by": record({"name": STRING})})
TICKET = record({"id": STRING, "body": labelled(STRING, PII)})
SHAPE = UnionType(
    (
        RecordType((("kind", enum(["circle"])), ("radius", FLOAT))),
        RecordType((("kind", enum(["square"])), ("side", INT))),
    )
)


NAMES: dict[str, tuple[Type, Any]] = {
    "b": (BOOL, True),
    "n": (INT, 7),
    "zero": (INT, 0),
    "x": (FLOAT, 2.5),
    "s": (STRING, "straße"),
    "raw": (BYTES, b"\x00\xff"),
    "t": (TIME, "2026-01-02T03:04:05.000000Z"),
    "later": (TIME, "2026-01-02T03:05:05.500000Z"),
    "d": (DURATION, "PT9S"),
    "longer": (DURATION, "PT10S"),
    "f": (FILE, {"digest": "ab", "size": 12, "media": "text/plain"}),
    "j": (JSON, {"a": [1, True, None]}),
    "c": (record({"intent": enum(["billing", "other", "tech"]), "confidence": FLOAT}),
          {"intent": "billing", "confidence": 0.9}),
    "p": (optional(PAGE), {"page": "p1", "by": {"name": "Ada"}}),
    "nobody": (optional(PAGE), None),
    "note": (optional(STRING), None),
    "level": (optional(enum(["high", "low"])), "high"),
    "ns": (ListType(INT), [3, 1, 2, 3]),
    "xs": (ListType(FLOAT), [0.5, 0.25]),
    "words": (ListType(STRING), ["b", "a", "b"]),
    "docs": (ListType(record({"id": STRING, "score": FLOAT, "title": optional(STRING)})),
             [{"id": "1", "score": 0.9, "title": None}, {"id": "2", "score": 0.1, "title": "two"}]),
    "nested": (ListType(ListType(INT)), [[1], [], [2, 3]]),
    "m": (MapType(INT), {"z": 26, "a": 1}),
    "ticket": (TICKET, {"id": "T1", "body": "private"}),
    "inbox": (ListType(TICKET), [{"id": "T1", "body": "private"}]),
    "shape": (SHAPE, {"kind": "square", "side": 4}),
    "mixed": (UnionType((BOOL, INT)), True),
}  # fmt: skip

ENVIRONMENT = ([value for _, value in NAMES.values()],)


AT = Where("/let", 10, 1)


def scope() -> Scope:
    """The scope in which every one of `NAMES` is bound, at depth 0."""
    found = Scope()
    for index, (name, (type_, _)) in enumerate(NAMES.items()):
        found = found.bind(name, type_, 0, index)
    return found


def check(source: str, at: Where = AT) -> tuple[Code, tuple[Diagnostic, ...]]:
    """The code of `source`, and what was found wrong with it."""
    diagnostics = Diagnostics()
    code = compile_value(Expression(source, at), scope(), diagnostics)
    return code, diagnostics.sorted()


def run(source: str, environment: tuple[list[Any], ...] = ENVIRONMENT) -> Any:
    """The value of `source`, which has no mistakes."""
    code, found = check(source)
    assert not found, [str(one) for one in found]
    return code.run(environment)
