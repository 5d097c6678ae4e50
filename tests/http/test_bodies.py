"""What JSON lets pass, and this API does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http.stage import ECHO, EXECUTE, Client, check_problem

from stratarouter_runtime.api.bodies import MAX_DEPTH, decode
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import MAX_BODY
from stratarouter_runtime.api.models import AnswerRequest, ExecuteRequest, Options


def nested(levels: int) -> bytes:
    """A body whose value nests this deep, itself included."""
    return b'{"step":"s","value":%b%b}' % (b"[" * (levels - 1), b"]" * (levels - 1))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"{", "no JSON"),
        (b"{} {}", "trailing"),
        (b'{"workflow_id": NaN}', "no JSON"),
        (b'{"workflow_id": Infinity}', "no JSON"),
        (b'{"input": 1e999}', "out of range"),
        (b'{"input": 9007199254740992}', "9007199254740991"),
        (b'{"input": [-9007199254740992]}', "9007199254740991"),
        (b'{"input": ' + b"1" * 5000 + b"}", "out of range"),
        (b'{"workflow_id": "\xff"}', "UTF-8"),
        (b'{"workflow_id": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"workflow_id": "\\ud800"}', "no JSON"),
        (b'\xef\xbb\xbf{"workflow_id": "a"}', "no JSON"),
        (b'{"workflow_id": "a", "workflow_id": "b"}', "'workflow_id' stands twice"),
        (b'{"workflow_id": "a", "input": {"b": [{"x": 1, "y": {"x": 2}, "x": 3}]}}', "'x' stands twice"),
        (b'{"workflow_id": "a", "input": {"\\u0061": 1, "a": 2}}', "'a' stands twice"),
        (nested(MAX_DEPTH + 1), "nests deeper"),
        (b"[" * 100_000 + b"]" * 100_000, "nests deeper"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "nests deeper"),
    ],
)
async def test_a_body_that_cannot_be_read_is_400(quick: Client, body: bytes, says: str) -> None:
    found = check_problem(await quick.post(body), 400, "malformed-request")
    assert says in found["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ("[]", "", "expected `object`"),
        ('"text"', "", "expected `object`"),
        ("{}", "/workflow_id", "is missing"),
        ('{"workflow_id": 1}', "/workflow_id", "expected `str`"),
        ('{"workflow_id": ""}', "/workflow_id", "length"),
        ('{"workflow_id": "a", "inputs": {}}', "/inputs", "not known"),
        ('{"workflow_id": "a", "options": 1}', "/options", "expected `object`"),
        ('{"workflow_id": "a", "options": {"timeout": 1}}', "/options/timeout", "not known"),
        ('{"workflow_id": "a", "options": {"x/~y": 1}}', "/options/x~1~0y", "not known"),
        ('{"workflow_id": "a", "options": {"timeout_seconds": 0}}', "/options/timeout_seconds", "> 0"),
        ('{"workflow_id": "a", "options": {"timeout_seconds": 3601}}', "/options/timeout_seconds", "<= 3600"),
        (
            '{"workflow_id": "a", "options": {"timeout_seconds": "60"}}',
            "/options/timeout_seconds",
            "expected",
        ),
        ('{"workflow_id": "a", "options": {"mode": "later"}}', "/options/mode", "invalid enum"),
        ('{"workflow_id": "a", "options": {"plan": "abc"}}', "/options/plan", "regex"),
        ('{"workflow_id": "a", "options": {"seed": ""}}', "/options/seed", "length"),
        ('{"workflow_id": "a", "options": {"enable_cache": 1}}', "/options/enable_cache", "expected `bool`"),
    ],
)
async def test_a_body_of_another_shape_is_422_with_a_pointer(
    quick: Client, body: str, pointer: str, says: str
) -> None:
    found = check_problem(await quick.post(body.encode()), 422, "invalid-request")
    (mistake,) = found["errors"]
    assert mistake["pointer"] == pointer
    assert says in mistake["detail"]


async def test_an_unknown_field_is_answered_with_the_nearest_known_one(quick: Client) -> None:
    body = b'{"workflow_id": "a", "options": {"timeout_second": 1}}'
    assert "timeout_seconds" in check_problem(await quick.post(body), 422, "invalid-request")["hint"]


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded", "application/yaml"])
async def test_a_body_of_another_type_is_415(quick: Client, kind: str) -> None:
    check_problem(
        await quick.http.post(EXECUTE, content=b"{}", headers={"content-type": kind}),
        415,
        "unsupported-media-type",
    )


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 404),
        ('Application/JSON;charset="UTF-8"', 404),
        ("application/json; charset=latin-1", 415),
    ],
)
async def test_the_charset_is_utf_8(quick: Client, kind: str, status: int) -> None:
    response = await quick.http.post(EXECUTE, content=b'{"workflow_id":"a"}', headers={"content-type": kind})
    assert response.status_code == status


# The limit: N bytes pass, N + 1 do not, whether the length is stated or not.


def sized(size: int) -> bytes:
    """An execute request of exactly this many bytes."""
    frame = b'{"workflow_id":"echo","input":{"query":"%b"}}'
    return frame % (b"x" * (size - len(frame) + 2))


@pytest.mark.parametrize("stated", [True, False])
async def test_a_body_of_the_limit_passes(quick: Client, *, stated: bool) -> None:
    await quick.deploy("echo", ECHO)
    response = await quick.http.post(EXECUTE, **_content(sized(MAX_BODY), stated=stated))
    assert response.status_code == 200
    assert len(response.json()["output"]["answer"]) > MAX_BODY - 100


@pytest.mark.parametrize("stated", [True, False])
async def test_a_body_of_one_byte_more_is_413(quick: Client, *, stated: bool) -> None:
    await quick.deploy("echo", ECHO)
    response = await quick.http.post(EXECUTE, **_content(sized(MAX_BODY + 1), stated=stated))
    check_problem(response, 413, "body-too-large")
    assert quick.stage.say.calls == []


async def test_what_comes_beyond_the_limit_is_not_even_asked_for(quick: Client) -> None:
    asked = 0

    async def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 65536

    response = await quick.http.post(EXECUTE, content=endless(), headers={"content-type": "application/json"})
    check_problem(response, 413, "body-too-large")
    assert asked <= MAX_BODY // 65536 + 2


def _content(body: bytes, *, stated: bool) -> dict[str, Any]:
    async def parts() -> Any:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    return {"content": body if stated else parts(), "headers": {"content-type": "application/json"}}


# Decoding by itself.

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_every_value_of_json_is_read_as_it_was_written(
    value: Any, *, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps({"step": '":"', "value": value}, ensure_ascii=ascii_only, indent=indent)
    assert decode(body.encode(), AnswerRequest) == AnswerRequest('":"', value)


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), st.data())
def test_a_name_that_stands_twice_is_always_found(value: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    members = [f"{json.dumps(key)}: {json.dumps(item)}" for key, item in value.items()]
    at = data.draw(st.integers(0, len(members)))
    members.insert(at, f"{json.dumps(name)}: null")
    with pytest.raises(Refused) as caught:
        decode(f'{{"step": "", "value": {{{", ".join(members)}}}}}'.encode(), AnswerRequest)
    assert caught.value.code == "malformed-request"


def test_a_body_may_nest_as_deep_as_the_limit() -> None:
    assert decode(nested(MAX_DEPTH), AnswerRequest).step == "s"


def test_what_is_left_out_has_its_default() -> None:
    assert decode(b'{"workflow_id": "a"}', ExecuteRequest) == ExecuteRequest("a", {}, Options())
