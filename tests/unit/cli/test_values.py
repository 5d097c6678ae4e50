from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stratarouter_runtime.cli.arguments import STDIN
from stratarouter_runtime.cli.values import LARGEST, check_complete, gather, value
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.relations import optional
from stratarouter_runtime.tcfp.types import BOOL, FLOAT, INT, JSON, STRING, TIME, ListType, enum, record

DECLARED = record(
    {
        "any": JSON,
        "day": TIME,
        "deep": record({"n": INT}),
        "flag": BOOL,
        "lang": optional(STRING),
        "level": enum(["1", "high"]),
        "many": ListType(STRING),
        "n": INT,
        "ratio": FLOAT,
        "text": STRING,
    }
)


def nothing() -> bytes:
    raise AssertionError("standard input was read")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("n=5", 5),
        ("n=five", "five"),  # left for the check of the input to refuse
        ("text=5", "5"),
        ("text=true", "true"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ('text="quoted"', "quoted"),
        ("text={not json", "{not json"),
        ("lang=null", None),
        ("lang=12", "12"),
        ("flag=true", True),
        ("ratio=2", 2),
        ("level=1", "1"),
        ("level=high", "high"),
        ("day=2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ('many=["a","b"]', ["a", "b"]),
        ("any=5", 5),
        ("any=word", "word"),
        ('deep={"n":"x"}', {"n": "x"}),  # neither fits: the JSON, so that /deep/n is named
    ],
)
def test_the_declared_type_decides_what_a_text_means(given: str, value: Any) -> None:
    assert gather([given], DECLARED, nothing) == {given.partition("=")[0]: value}


def test_files_and_standard_input_merge_and_the_last_word_wins(tmp_path: Path) -> None:
    path = tmp_path / "in put.json"
    path.write_text('{"n": 1, "text": "from file"}')
    got = gather([f"@{path}", STDIN, "n=3"], DECLARED, lambda: b'{"text": "from stdin", "n": 2}')
    assert got == {"n": 3, "text": "from stdin"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("plain", "neither k=v nor @file nor -"),
        ("txt=5", "there is no input 'txt'"),
        ("@/no/such/file", "No such file"),
        (STDIN, "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(given: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        gather([given], DECLARED, lambda: b"{")
    assert caught.value.hint


def test_an_unknown_input_names_the_nearest() -> None:
    with pytest.raises(InvalidInput) as caught:
        gather(["txt=5"], DECLARED, nothing)
    assert caught.value.hint == "did you mean 'text'?"
    assert caught.value.pointer == "/txt"


def test_an_input_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidInput, match="<standard input>: the input of a flow is a JSON object"):
        gather([STDIN], DECLARED, lambda: b"[1]")


def test_an_oversized_input_is_refused_by_its_size() -> None:
    with pytest.raises(InvalidInput, match=f"more than {LARGEST} bytes"):
        gather([STDIN], DECLARED, lambda: b"1" * (LARGEST + 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "<standard input> is empty"),
        (b'{"n": 1,\n"text": "\xff"}', "<standard input>:2: not UTF-8"),
        (b'{"n": 1,\n "n": 2}', "the name 'n' stands twice"),
        (b'{"ratio": NaN}', "NaN is no number of JSON"),
        (b'{"text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"nn": 1}', "there is no input 'nn'"),
        (b'{"n": 1,\n}', "<standard input>:2:1: not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": ' + b"9" * 5_000 + b"}", "not JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_json_is_read_strictly_and_refused_in_words(text: bytes, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        gather([STDIN], DECLARED, lambda: text)
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "says"), [('deep={"n":', "not JSON"), ('deep={"n":1,"n":2}', "twice"), ("text=\udcff", "UTF-8")]
)
def test_a_value_that_cannot_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        gather([text], DECLARED, nothing)
    assert value('{"a":1,"a":2}', STRING, "x") == '{"a":1,"a":2}'


def test_what_is_lacking_is_named_with_how_to_give_it() -> None:
    declared = record({"n": INT, "deep": record({"n": INT}), "lang": optional(STRING)})
    check_complete({"n": 1, "deep": None}, declared)
    with pytest.raises(InvalidInput, match="nothing is given for deep, n") as caught:
        check_complete({}, declared)
    assert caught.value.hint == "--input deep=JSON --input n=INT"
