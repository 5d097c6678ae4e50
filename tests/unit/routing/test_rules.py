from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.routing.rules import MAX_RULES, Question, Rule, compile_rules, read_rules


def first(rules: list[Rule], query: str, labels: tuple[str, ...] = (), value: Any = None) -> str | None:
    found = compile_rules(rules).first(Question(query, labels, value))
    return None if found is None else found.name


@pytest.mark.parametrize(
    ("guard", "query", "holds"),
    [
        ({"prefix": "Re: [a] "}, "RE: [A] hello", True),
        ({"prefix": "Re:"}, "is Re: it", False),
        ({"keywords": ("refund", "money back")}, "I want a REFUND!", True),
        ({"keywords": ("refund", "money back")}, "give me my Money Back", True),
        ({"keywords": ("refund",)}, "refunds", False),
        ({"keywords": ("über",)}, "sie ist ÜBER uns", True),
        ({"keywords": ("ber",)}, "über", False),
        ({"keywords": ("c++",)}, "is c++ slow", True),
        ({"pattern": "^[0-9]{4}$"}, "4711", True),
        ({"pattern": "^[0-9]{4}$"}, "47111", False),
        ({"when": 'query.startsWith("a") && size(labels) == 0'}, "abc", True),
    ],
)
def test_a_guard_holds_for_what_it_says(guard: dict[str, Any], query: str, holds: bool) -> None:  # noqa: FBT001 - a row
    assert first([Rule("r", "x", **guard)], query) == ("r" if holds else None)


def test_the_higher_priority_decides_and_then_the_one_written_first() -> None:
    rules = [Rule(name, "x", priority, prefix="q") for name, priority in (("a", 0), ("b", 2), ("c", 2))]
    assert first(rules, "q") == "b"
    assert first([rules[0], rules[2]], "q") == "c"


def test_labels_and_typed_inputs_can_be_looked_at() -> None:
    rules = [
        Rule("private", "x", when='"pii" in labels'),
        Rule("large", "x", when="input.amount > 100.0", input={"amount": "float"}),
    ]
    assert first(rules, "q", ("pii",)) == "private"
    assert first(rules, "q", (), {"amount": 250.0, "more": "is left out"}) == "large"
    for value in (None, {}, {"amount": "much"}, {"amount": 99.0}):
        assert first(rules, "q", (), value) is None


def test_a_condition_that_fails_does_not_hold() -> None:
    assert first([Rule("r", "x", when="1 / (size(query) - 1) > 0")], "q") is None


def test_rules_for_others_are_passed_over() -> None:
    rules = compile_rules([Rule("a", "x", prefix="q"), Rule("b", "y", prefix="q")])
    found = rules.first(Question("q"), ["y", "z"])
    assert found is not None
    assert found.name == "b"


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([Rule("a", "x", prefix="q"), Rule("a", "x", prefix="q")], "2 rules are called 'a'"),
        ([Rule("a", "x", prefix="q", pattern="p")], "2 of when, prefix, keywords and pattern"),
        ([Rule("a", "nobody", prefix="q")], "there is no agent 'nobody'"),
        ([Rule("a", "x", when="nope(query)")], "nope"),
        ([Rule("a", "x", when="query +")], "rule 'a'"),
        ([Rule("a", "x", pattern="(?<=a)b")], "RE2"),
        ([Rule(f"r{number}", "x", prefix="q") for number in range(MAX_RULES + 1)], "are too many"),
    ],
)
def test_rules_that_cannot_be_used_say_why(rules: list[Rule], told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_rules(rules, ["x", "y"])
    assert told in caught.value.message


@given(st.text(min_size=1, max_size=50), st.text(max_size=50))
def test_any_word_and_any_prefix_make_a_rule(word: str, rest: str) -> None:
    if any("\ud800" <= mark <= "\udfff" for mark in word + rest):
        return
    assert first([Rule("r", "x", prefix=word)], word + rest) == "r"
    assert first([Rule("r", "x", keywords=(word,))], word) == "r"


def test_data_that_is_no_rules_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no routing rules"):
        read_rules([{"name": "a", "agent": "x", "perfix": "q"}])
