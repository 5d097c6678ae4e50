"""Rules that decide before anything is weighed: typed expressions, or simpler guards that become ones.

The highest priority is looked at first, among equals the one written first. Must never know: what
agents do, or what is decided where no rule holds.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.routing.explained import MAX_QUERY
from stratarouter_runtime.routing.tables import NAME
from stratarouter_runtime.tcfp.diagnostics import Diagnostics, did_you_mean
from stratarouter_runtime.tcfp.expressions import ExpressionFailed, Scope, compile_value
from stratarouter_runtime.tcfp.ir import Expression
from stratarouter_runtime.tcfp.plan import Checker, Code
from stratarouter_runtime.tcfp.text import read_text
from stratarouter_runtime.tcfp.type_syntax import read_type
from stratarouter_runtime.tcfp.types import BOOL, STRING, UNKNOWN, ListType, Type, show
from stratarouter_runtime.tcfp.values import Misfit, checker

MAX_RULES: Final = 1_000

_SCOPE: Final = Scope().bind("query", STRING, 0, 0).bind("labels", ListType(STRING), 0, 1)

_Text = Annotated[str, Meta(min_length=1, max_length=1_000)]


class Rule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Sends what it holds for to `agent`. Of `when`, `prefix`, `keywords`, `pattern` one has to be written.

    `when` is a condition over `query: string`, `labels: list<string>` and, where the rule writes the
    type of `input`, over that: it does not hold for an input that does not fit. `prefix` looks at how
    a query begins, `keywords` for any of these words, `pattern` for an RE2 expression; `prefix` and
    `keywords` take upper and lower case as equal.
    """

    name: str
    agent: str
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    when: _Text | None = None
    prefix: _Text | None = None
    keywords: Annotated[tuple[_Text, ...], Meta(max_length=100)] = ()
    pattern: _Text | None = None
    input: Any = None


class Question(Struct, frozen=True):
    """What is to be routed: a text, the labels it carries, and what the chosen one will be given."""

    query: str
    labels: tuple[str, ...] = ()
    input: Any = None


class Compiled(Struct, frozen=True):
    """A rule ready to decide. `takes` projects the input, where the rule looks at it."""

    rule: Rule
    code: Code
    takes: Checker | None

    def holds(self, asked: Question) -> bool:
        """Whether the rule is for this; one that fails when it is evaluated is not."""
        environment = [asked.query[:MAX_QUERY], list(asked.labels)]
        try:
            if self.takes is not None:
                environment.append(self.takes.project(asked.input))
            return self.code.run((environment,)) is True
        except (ExpressionFailed, Misfit):
            return False


class Rules:
    """Compiled rules, in the order in which they are looked at."""

    def __init__(self, rules: Sequence[Compiled]) -> None:
        # `sorted` is stable: among equals the order of writing stays.
        self._rules = tuple(sorted(rules, key=lambda one: -one.rule.priority))

    def first(self, asked: Question, among: Sequence[str] | None = None) -> Rule | None:
        """The rule that decides: the first that holds, of those that name one of these agents."""
        for one in self._rules:
            if (among is None or one.rule.agent in among) and one.holds(asked):
                return one.rule
        return None

    def __len__(self) -> int:
        return len(self._rules)


def read_rules(data: Any) -> tuple[Rule, ...]:
    """Rules from JSON data. Raises `InvalidInput`."""
    try:
        return msgspec.convert(data, tuple[Rule, ...])
    except msgspec.ValidationError as error:
        hint = "a rule is {name, agent, priority, and one of when, prefix, keywords, pattern}"
        raise InvalidInput(f"these are no routing rules: {error}", hint=hint) from None


def compile_rules(rules: Sequence[Rule], agents: Sequence[str] | None = None) -> Rules:
    """Rules ready to decide. Raises `InvalidInput` that names every fault.

    `agents` are those that may be named; None allows any.
    """
    faults: list[str] = []
    if len(rules) > MAX_RULES:
        faults.append(f"{len(rules)} are too many: {MAX_RULES} are possible")
    for name, times in Counter(rule.name for rule in rules).items():
        if times > 1:
            faults.append(f"{times} rules are called '{name[:140]}'")
    compiled: list[Compiled] = []
    for rule in rules:
        one, found = _compile(rule, agents)
        faults += [f"rule '{rule.name[:140]}': {fault}" for fault in found]
        if one is not None:
            compiled.append(one)
    if faults:
        told = "\n  ".join(faults[:20])
        raise InvalidInput(f"the routing rules cannot be used:\n  {told}")
    return Rules(compiled)


def _compile(rule: Rule, agents: Sequence[str] | None) -> tuple[Compiled | None, list[str]]:
    faults = list(_shape(rule))
    if agents is not None and rule.agent not in agents:
        near = did_you_mean(rule.agent, agents)
        faults.append(f"there is no agent '{rule.agent[:140]}'{f' ({near})' if near else ''}")
    if faults:
        return None, faults
    diagnostics = Diagnostics()
    scope, takes = _SCOPE, None
    if rule.input is not None:
        type_ = _type(rule.input, diagnostics)
        try:
            takes = checker(type_)
        except ValueError as unresolved:  # the name of a type that only a flow could declare
            return None, [f"input: {unresolved}"]
        scope = scope.bind("input", type_, 0, 2)
    code = compile_value(Expression(condition(rule)), scope, diagnostics, BOOL)
    told = [f"{found.message}{f' ({found.hint})' if found.hint else ''}" for found in diagnostics.sorted()]
    if not told and code.type != BOOL:
        told = [f"the condition is a {show(code.type)}, not a bool"]
    return (None if told else Compiled(rule, code, takes)), told


def _type(written: Any, diagnostics: Diagnostics) -> Type:
    document = read_text(json.dumps(written), kind="json")
    return UNKNOWN if document.root is None else read_type(document.root, diagnostics)


def _shape(rule: Rule) -> Iterator[str]:
    if not NAME.fullmatch(rule.name):
        yield "its name has to be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or digit"
    guards = [rule.when, rule.prefix, rule.keywords or None, rule.pattern]
    written = sum(guard is not None for guard in guards)
    if written != 1:
        yield f"{written} of when, prefix, keywords and pattern are written: it has to be one"


def condition(rule: Rule) -> str:
    """The rule as an expression."""
    if rule.when is not None:
        return rule.when
    if rule.prefix is not None:
        return f"query.matches({_literal(f'(?i)^{_quoted(rule.prefix)}')})"
    if rule.pattern is not None:
        return f"query.matches({_literal(rule.pattern)})"
    words = "|".join(_quoted(word) for word in rule.keywords)
    edge = r"[^\pL\pN_]"
    return f"query.matches({_literal(rf'(?i)(?:^|{edge})(?:{words})(?:$|{edge})')})"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted(text: str) -> str:
    """The text as an RE2 expression that matches just it: every other ASCII mark is escaped."""
    return re.sub(r"([^\w\s]|_)", lambda found: _escape(found[0]), text)


def _escape(mark: str) -> str:
    return f"\\{mark}" if mark.isascii() and mark != "_" else mark
