from __future__ import annotations

import json
from pathlib import Path

import pytest

from stratarouter_runtime.demo.inbox import Message, read_inbox
from stratarouter_runtime.errors import InvalidInput, NotFound


def written(folder: Path, text: str) -> Path:
    path = folder / "inbox.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_is_a_message(tmp_path: Path) -> None:
    path = written(
        tmp_path, '{"id": "m1", "subject": "Hi", "text": "Où est ma commande ?", "route": "orders"}\n'
    )
    assert read_inbox(path) == [Message("m1", "Où est ma commande ?", "Hi", "orders")]


def test_what_is_missing_is_made_up_from_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, '\n{"text": "a"}\r\n\n{"text": "b", "id": 7, "other": 1}')
    assert read_inbox(path) == [Message("line-2", "a"), Message("7", "b")]


def test_a_single_line_is_not_taken_for_another_format(tmp_path: Path) -> None:
    assert read_inbox(written(tmp_path, '{"text": "only"}')) == [Message("line-1", "only")]


def test_the_file_of_clinc150_gives_its_intents_as_routes_and_tests_first(tmp_path: Path) -> None:
    document = {"train": [["pay", "bill"]], "test": [["hi", "greeting"], ["yo", "greeting"]], "oos_test": []}
    messages = read_inbox(written(tmp_path, json.dumps(document)))
    assert [(message.id, message.text, message.route) for message in messages] == [
        ("test-1", "hi", "greeting"),
        ("test-2", "yo", "greeting"),
        ("train-1", "pay", "bill"),
    ]


def test_a_limit_takes_the_first(tmp_path: Path) -> None:
    path = written(tmp_path, '{"text": "a"}\n{"text": "b"}\n')
    assert [message.text for message in read_inbox(path, limit=1)] == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"text": "a"}\n{"text": 3}\n', ":2: Expected `str`"),
        ('{"text": "a"}\n{"id": "x"}\n', ":2: Object missing required field `text`"),
        ('{"text": "a"}\nhello\n', ":2: JSON is malformed"),
        ('{"text": "a", "id": "x"}\n{"text": "b", "id": "x"}\n', ":2: two messages have the id 'x'"),
        ("", "holds no messages"),
        ('{"test": [["only text"]]}', "test: Expected `array` of length 2"),
        ("[]", ":1: Expected `object`"),
    ],
)
def test_a_bad_inbox_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=r"inbox\.jsonl") as caught:
        read_inbox(written(tmp_path, text))
    assert said in caught.value.message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "inbox.jsonl"
    path.write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(InvalidInput, match=":1: "):
        read_inbox(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no inbox"):
        read_inbox(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_inbox(tmp_path)
