"""Every mistake an expression can have: its code, its place, what is said; and the types of what has none."""

from __future__ import annotations

import pytest
from tests.unit.tcfp.expressions.expressing import ENVIRONMENT, check, scope

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import ExpressionFailed, Scope, compile_value
from stratarouter_runtime.tcfp.ir import Expression, Where
from stratarouter_runtime.tcfp.types import UNKNOWN, show

CIRCLE, SQUARE = "{kind: [circle], radius: float}", "{kind: [square], side: int}"


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("1", "int"),
        ("'a'", "[a]"),
        ("b ? 'a' : 'b'", "[a, b]"),
        ("b ? 'a' : s", "string"),
        ("b ? 1 : null", "int?"),
        ("x > 0.9 ? 'high' : x > 0.5 ? 'mid' : 'low'", "[high, low, mid]"),
        ("n + 1", "int"),
        ("x / 2.0", "float"),
        ("-x", "float"),
        ("s + 'a'", "string"),
        ("raw + b'a'", "bytes"),
        ("ns + []", "list<int>"),
        ("ns + words", "list<int | string>"),
        ("[]", "list<never>"),
        ("[1, 'a', null]", "list<([a] | int)?>"),
        ("{a: n, 'b': [x]}", "{a: int, b: list<float>}"),
        ("c.intent", "[billing, other, tech]"),
        ("f.size", "int"),
        ("m['a']", "int"),
        ("m.a", "int"),
        ("ns[0]", "int"),
        ("c['intent']", "[billing, other, tech]"),
        ("shape.kind", "[circle, square]"),
        ("p != null ? p.page : null", "string?"),
        ("p.orValue(null)", "{by: {name: string}, page: string}?"),
        ("note.orValue('')", "string"),
        ("level.orValue('none')", "[high, low, none]"),
        ("t - later", "duration"),
        ("t + d", "time"),
        ("d + t", "time"),
        ("t - d", "time"),
        ("d - longer", "duration"),
        ("size(m)", "int"),
        ("{a: 1}.size()", "int"),
        ("s.split(',')", "list<string>"),
        ("ns.map(i, string(i))", "list<string>"),
        ("ns.map(i, i > 1, double(i))", "list<float>"),
        ("[].map(i, i + 1)", "list<never>"),
        ("m.map(k, m[k])", "list<int>"),
        ("m.filter(k, k != 'a')", "list<string>"),
        ("docs.filter(d, d.title != null)", "list<{id: string, score: float, title: string}>"),
        ("docs.filter(d, d.title != null).map(d, d.title)", "list<string>"),
        ("docs.map(d, d.title != null, d.title)", "list<string>"),
        ("nested.flatten()", "list<int>"),
        ("[].flatten()", "list<never>"),
        ("ns.sum()", "int"),
        ("xs.sum()", "float"),
        ("[].sum()", "int"),
        ("words.max()", "string"),
        ("words.sort().slice(0, 1)", "list<string>"),
        ("docs.distinct()", "list<{id: string, score: float, title: string?}>"),
        ("ns.exists_one(i, i == 1)", "bool"),
        # Labels.
        ("ticket.body", "string @pii"),
        ("ticket.body + '!'", "string @pii"),
        ("'!' + ticket.body + ticket.id", "string @pii"),
        ("ticket.id + '!'", "string"),
        ("ticket.body == 'x'", "bool @pii"),
        ("ticket.body == 'x' && b", "bool @pii"),
        ("!ticket.body.contains('x')", "bool @pii"),
        ("ticket == ticket", "bool @pii"),
        ("ticket.body.size()", "int @pii"),
        ("ticket.body.split(' ')", "list<string> @pii"),
        ("b ? ticket.body : 'x'", "string @pii"),
        ("ticket.body == 'x' ? 1 : 2", "int"),
        ("[ticket.body]", "list<string @pii>"),
        ("{a: ticket.body}.a", "string @pii"),
        ("inbox[0].id", "string"),
        ("inbox[0].body", "string @pii"),
        ("inbox.map(i, i.body).join(',')", "string @pii"),
        ("inbox.map(i, i.id).join(',')", "string"),
        ("inbox.size()", "int"),
        ("inbox.exists(i, i.id == 'x')", "bool"),
        ("inbox.exists(i, i.body == 'x')", "bool @pii"),
        ("inbox.map(i, i.body).max()", "string @pii"),
        ("inbox == []", "bool @pii"),
        ("ns[ticket.body.size()]", "int @pii"),
        ("m[ticket.body]", "int @pii"),
        ("note.orValue(ticket.body)", "string @pii"),
        ("[ticket.body].distinct()", "list<string @pii>"),
        ("string(ticket.body)", "string @pii"),
    ],
)
def test_types(source: str, type_: str) -> None:
    code, found = check(source)
    assert [str(one) for one in found] == []
    assert show(code.type) == type_


@pytest.mark.parametrize(
    ("source", "code", "column", "message", "hint"),
    [
        # The document of the language shows these.
        ("c.urgncy", "E211", 3, "no field 'urgncy' in {confidence: float, intent: [billing, other, tech]}", ""),
        ("c.intnt", "E211", 3, "no field 'intnt' in {confidence: float, intent: [billing, other, tech]}", "did you mean 'intent'?"),
        ('c.intent == "biling"', "E216", 10, "[billing, other, tech] can never equal [biling]", "did you mean 'billing'?"),
        ("p.page", "E212", 3, "{by: {name: string}, page: string}? may be null here", "test it first (p != null ? … : …) or use orValue()"),
        ("now()", "E218", 1, "no function now()", "now() and random() do not exist: use run.started or run.seed"),
        # Syntax.
        ("n +", "E201", 4, "unexpected end", ""),
        ("'\\q'", "E202", 2, "no escape \\q", "write \\\\ for a backslash"),
        # Names.
        ("tiket.id", "E210", 1, "no name 'tiket' in scope", "did you mean 'ticket'?"),
        ("ns.all(i, q > i)", "E210", 11, "no name 'q' in scope", "in scope: b, c, d, docs, f, i, inbox, j"),
        # Fields and elements.
        ("j.a", "E211", 3, "no field 'a' in json", "convert it first: a let step with type:"),
        ("n.a", "E211", 3, "no field 'a' in int", ""),
        ("shape.side", "E211", 7, f"no field 'side' in {CIRCLE} | {SQUARE}", "not every record of the union has it: match on what tells them apart first"),
        ("c['nope']", "E211", 3, "no field 'nope' in {confidence: float, intent: [billing, other, tech]}", ""),
        ("c[s]", "E215", 2, "{confidence: float, intent: [billing, other, tech]} is neither list nor map", "a field is named by a literal: r.name"),
        ("ns['a']", "E213", 4, "the key must be int, not [a]", ""),
        ("m[1]", "E213", 3, "the key must be string, not int", ""),
        ("n[0]", "E215", 2, "int is neither list nor map", ""),
        ("j[0]", "E215", 2, "json is neither list nor map", "convert it first: a let step with type:"),
        # Null.
        ("p.by.name", "E212", 3, "{by: {name: string}, page: string}? may be null here", "test it first (p != null ? … : …) or use orValue()"),
        ("note + 'a'", "E212", 6, "string? may be null here", "test it first (note != null ? … : …) or use orValue()"),
        ("size(note)", "E212", 1, "string? may be null here", "test it first (note != null ? … : …) or use orValue()"),
        ("docs[0].title.trim()", "E212", 15, "string? may be null here", "test it first (x != null ? … : …) or use orValue()"),
        ("note < 'a'", "E212", 6, "string? may be null here", "test it first (note != null ? … : …) or use orValue()"),
        ("'a' in note", "E212", 5, "string? may be null here", "test it first (note != null ? … : …) or use orValue()"),
        ("p == null && p.page == 'x'", "E212", 16, "null may be null here", "test it first (p != null ? … : …) or use orValue()"),
        ("p != null || p.page == 'x'", "E212", 16, "null may be null here", "test it first (p != null ? … : …) or use orValue()"),
        # Operands.
        ("n + 1.0", "E213", 3, "no int + float", "types never mix int and float: write 2.0 or double(n)"),
        ("x == 1", "E213", 3, "no float == int", "types never mix int and float: write 2.0 or double(n)"),
        ("x < n", "E213", 3, "no float < int", "types never mix int and float: write 2.0 or double(n)"),
        ("n in xs", "E213", 3, "no int in float", "types never mix int and float: write 2.0 or double(n)"),
        ("[n, x]", "E213", 5, "no list of int and float", "types never mix int and float: write 2.0 or double(n)"),
        ("b ? 1 : 2.0", "E213", 3, "no int or float", "types never mix int and float: write 2.0 or double(n)"),
        ("[n][0].orValue(1.0)", "E213", 8, "no int or float", "types never mix int and float: write 2.0 or double(n)"),
        ("ns + xs", "E213", 4, "no list<int> + list<float>", ""),
        ("x % 2.0", "E213", 3, "no float % float", ""),
        ("s + n", "E213", 3, "no string + int", "convert with string(…)"),
        ("s - s", "E213", 3, "no string - string", ""),
        ("j + 1", "E213", 3, "no json + int", "convert it first: a let step with type:"),
        ("t + t", "E213", 3, "no time + time", ""),
        ("mixed + 1", "E213", 7, "no bool | int + int", ""),
        ("[1] < [2]", "E213", 5, "no list<int> < list<int>", ""),
        ("b && n", "E213", 3, "no bool && int", ""),
        ("!n", "E213", 1, "! needs a bool, not int", ""),
        ("-s", "E213", 1, "- needs a number, not string", ""),
        ("n ? 1 : 2", "E213", 1, "? needs a bool, not int", ""),
        ("n in m", "E213", 3, "keys of a map are strings, not int", ""),
        # Arguments.
        ("s.startsWith(1)", "E214", 3, "startsWith does not take (string, int): it is string.startsWith(string)", ""),
        ("s.trim(1)", "E214", 3, "trim does not take (string, int): it is string.trim()", ""),
        ("s.replace('a')", "E214", 3, "replace does not take (string, [a]): it is string.replace(string, string, int?)", ""),
        ("n.size()", "E214", 3, "size does not take (int): it is string | bytes | list | map.size()", ""),
        ("sum(ns)", "E214", 1, "sum is no function", "write list<int>.sum()"),
        ("s.int()", "E214", 3, "int is no method", "write int(int | float | string)"),
        ("words.sum()", "E214", 7, "sum does not take (list<string>): it is list<int>.sum() or list<float>.sum()", ""),
        ("ns.flatten()", "E214", 4, "flatten does not take (list<int>): it is list<list>.flatten()", ""),
        ("size(j)", "E214", 1, "size does not take (json): it is string | bytes | list | map.size()", "convert it first: a let step with type:"),
        ("note.orValue()", "E214", 6, "orValue takes one default", "write x.orValue(default)"),
        # Lists.
        ("n.map(i, i)", "E215", 3, "int is neither list nor map", ""),
        ("j.map(i, i)", "E215", 3, "json is neither list nor map", "convert it first: a let step with type:"),
        ("1 in n", "E215", 3, "int is neither list nor map", ""),
        # Comparisons.
        ("level == 'hihg'", "E216", 7, "[high, low]? can never equal [hihg]", "did you mean 'high'?"),
        ("'biling' != c.intent", "E216", 10, "[biling] can never equal [billing, other, tech]", "did you mean 'billing'?"),
        ("c.intent in ['tech', 'biling']", "E216", 22, "[billing, other, tech] can never equal [biling]", "did you mean 'billing'?"),
        ("s == n", "E216", 3, "string can never equal int", ""),
        ("1 != null", "E216", 3, "int can never equal null", "it is never null"),
        ("1 == true", "E216", 3, "int can never equal bool", ""),
        ("['a'] == [1]", "E216", 7, "list<string> can never equal list<int>", ""),
        ("1 in ['a']", "E216", 3, "int can never equal string", ""),
        ("s == null", "E216", 3, "string can never equal null", "it is never null"),
        ("s in ns", "E216", 3, "string can never equal int", ""),
        ("words == ns", "E216", 7, "list<string> can never equal list<int>", ""),
        ("c == {intent: 'x', confidence: 1.0}", "E216", 3, "{confidence: float, intent: [billing, other, tech]} can never equal {confidence: float, intent: [x]}", ""),
        # Patterns and functions.
        ("s.matches('(')", "E217", 11, "no RE2 pattern: missing ): (", ""),
        ("s.matches('(?=a)')", "E217", 11, "no RE2 pattern: invalid perl operator: (?=", ""),
        ("s.matches(s)", "E217", 3, "the pattern of matches is a literal", "write it here, in quotes"),
        ("s.lower()", "E218", 3, "no function lower()", "did you mean 'lowerAscii'?"),
        ("s.startWith('a')", "E218", 3, "no function startWith()", "did you mean 'startsWith'?"),
        ("all(ns, n, true)", "E218", 1, "no function all()", "write list.all(x, …)"),
        ("has(c.intent)", "E218", 1, "no function has()", "every declared field is there: compare it with null"),
        ("frobnicate(1)", "E218", 1, "no function frobnicate()", ""),
        # Tests of macros.
        ("ns.filter(i, i)", "E219", 14, "filter tests a bool, not int", ""),
        ("ns.map(i, i, i)", "E219", 11, "map tests a bool, not int", ""),
        ("ns.all(i, 'a')", "E219", 11, "all tests a bool, not [a]", ""),
    ],
    ids=lambda of: str(of)[:30],
)  # fmt: skip
def test_mistakes(source: str, code: str, column: int, message: str, hint: str) -> None:
    compiled, found = check(source)
    assert [(one.code, one.line, one.column, one.message, one.hint) for one in found] == [
        (code, 10, column, message, hint)
    ]
    assert compiled.type == UNKNOWN
    with pytest.raises(ExpressionFailed, match="has mistakes"):
        compiled.run(ENVIRONMENT)


@pytest.mark.parametrize(
    "source",
    [
        "nope.a.b + 1 == 2 && nope.c",
        "size(nope) + 1.0",
        "nope.map(i, i.x + 1).sum() > 2",
        "ns.map(i, nope).filter(i, i)",
        "c.nope.startsWith(1)",
        "frobnicate(1).x ? 1 : 2.0",
        "(n + 1.0) * 'a'",
        "[nope, 1][0] == 'a'",
        "{a: nope}.a.b",
        "nope in ns",
        "-nope",
        "nope ? 1 : 'a'",
        "nope.orValue(1)",
        "s.matches(nope)",
    ],
)
def test_one_mistake_is_reported_once(source: str) -> None:
    _, found = check(source)
    assert len({one.column for one in found}) == len(found)
    assert all(one.code in ("E210", "E211", "E213", "E218") for one in found)
    assert len(found) == source.count("nope") or len(found) == 1


def test_independent_mistakes_are_all_reported() -> None:
    _, found = check("nope == 1 && c.nope == 2 && s.nope()")
    assert [(one.code, one.column) for one in found] == [("E210", 1), ("E211", 16), ("E218", 31)]


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("nope", 5, 20), ("  nope", 5, 22), ("n +\n  nope", 6, 3), ("n + n +\n\nnope", 7, 8)],
)
def test_places_follow_the_lines_of_the_source(source: str, line: int, column: int) -> None:
    _, (found,) = check(source, Where("/do/0/let", 5, 20, ((4, 6, 1), (9, 7, 8))))
    assert (found.pointer, found.line, found.column) == ("/do/0/let", line, column)


def test_without_text_there_is_no_place() -> None:
    _, (found,) = check("  nope", Where("/do/0/let"))
    assert (found.line, found.column) == (0, 0)


def test_an_empty_scope_has_nothing_to_offer() -> None:
    diagnostics = Diagnostics()
    compile_value(Expression("nope"), Scope(), diagnostics)
    assert [one.hint for one in diagnostics.sorted()] == [""]


def test_a_macro_may_hide_a_name() -> None:
    code, found = check("ns.map(n, n).map(s, s + 1)")
    assert not found
    assert show(code.type) == "list<int>"
    assert scope().lookup("n") is not None
