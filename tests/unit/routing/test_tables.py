from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.routing.tables import (
    MAX_CHARACTERS,
    MAX_UTTERANCES,
    Route,
    Table,
    check,
    read_table,
)

GOOD: dict[str, Any] = {
    "name": "t",
    "routes": [{"name": "a", "utterances": ["x"]}, {"name": "b", "description": "y"}],
}


def test_a_table_is_read_as_it_is_written() -> None:
    assert read_table(GOOD) == Table("t", (Route("a", ("x",)), Route("b", description="y")))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"name": "t", "routes": []}, "it has no routes"),
        ({"name": "t", "routes": [{"name": "a"}]}, "neither utterances nor a description"),
        ({"name": "t", "routes": [{"name": "a", "utterances": ["x"]}] * 2}, "2 routes are called 'a'"),
        ({"name": "t", "routes": [{"name": "a", "utterances": [" "]}]}, "an utterance without text"),
        (
            {"name": "t", "routes": [{"name": "a", "utterances": ["x" * (MAX_CHARACTERS + 1)]}]},
            f"{MAX_CHARACTERS} are possible",
        ),
        (
            {"name": "t", "routes": [{"name": "a", "utterances": ["x"]}, {"name": "b", "utterances": ["x"]}]},
            "'x' is an example of 'a' and of 'b'",
        ),
        (
            {"name": "t", "routes": [{"name": "a", "utterances": ["x"]}], "none": ["x"]},
            "of 'a' and of 'none'",
        ),
        ({"name": "t/", "routes": [{"name": "a", "utterances": ["x"]}]}, "its name has to be"),
        ({"name": "t", "routes": [{"name": "a b", "utterances": ["x"]}]}, "other characters"),
        ({"name": "t", "routes": [{"name": "a", "uterances": ["x"]}]}, "uterances"),
        ({"name": "t", "routes": [{"name": "a", "utterances": ["\ud800"]}]}, "half a surrogate pair"),
        ({"name": "t", "routes": [{"name": "none", "utterances": ["x"]}]}, "a route is called 'none'"),
        (
            {"name": "t", "routes": [{"name": "a", "utterances": ["x"]}, {"name": "b", "description": "x"}]},
            "'x' is an example of 'a' and of 'b'",
        ),
        ({"name": "t", "routes": "a"}, "no routing table"),
        ([], "no routing table"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(data: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_table(data)
    assert told in caught.value.message


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        check(Table("", (Route("a"), Route("a"))))
    assert caught.value.message.count("\n  ") == 4


def test_too_many_utterances_are_refused() -> None:
    many = tuple(f"u{number}" for number in range(MAX_UTTERANCES + 1))
    with pytest.raises(InvalidInput, match=f"{MAX_UTTERANCES + 1} utterances"):
        check(Table("t", (Route("a", many),)))


def test_a_route_is_learnt_from_what_people_say_its_description_and_its_name() -> None:
    route = Route("credit_limit.change", ("raise my limit",), "changes limits")
    assert route.examples() == ("raise my limit", "changes limits", "credit limit change")
    assert Route("pay", ("pay",)).examples() == ("pay",)
