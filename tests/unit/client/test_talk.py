from __future__ import annotations

from inspect import signature
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from stratarouter_runtime.client import executions
from stratarouter_runtime.client.answers import Execution, ExecutionFailed
from stratarouter_runtime.client.asynchronous import AsyncClient
from stratarouter_runtime.client.errors import Refused, Unreachable
from stratarouter_runtime.client.following import Following
from stratarouter_runtime.client.synchronous import Client
from stratarouter_runtime.client.talk import LONGEST_PAUSE, TRIES, Call, Heard, Lost, Pause, Talk, asked

GET = Call("GET", "/x")
ONCE = Call("POST", "/x", b"{}", again=False)
OK = Heard(200, {}, b"{}")


def problem(status: int, code: str = "c") -> Heard:
    fields = {
        "type": f"/problems/{code}",
        "title": "t",
        "status": status,
        "detail": "d",
        "instance": "/x",
        "code": code,
        "trace_id": "",
        "hint": "do this",
    }
    return Heard(status, {}, msgspec.json.encode(fields))


def execution(status: str, **more: Any) -> bytes:
    latency = {"total_ms": 1, "queue_ms": 0, "agents_ms": 0, "engine_ms": 1}
    fields = {
        "execution_id": "exec_1",
        "workflow_id": "w",
        "plan": "p",
        "status": status,
        "cache": {"outcome": "bypass"},
        "coalesced": False,
        "cost": {},
        "latency": latency,
        "routing": [],
        "trace_id": "",
        **more,
    }
    return msgspec.json.encode(fields)


def held(talk: Talk[Any], *answers: Heard | Lost) -> tuple[Any, list[Call | Pause]]:
    """What a conversation comes to when it hears these answers, and all it did."""
    said: list[Call | Pause] = []
    left = list(answers)
    heard: Heard | Lost | None = None
    try:
        while True:
            step = talk.send(heard)
            said.append(step)
            heard = None if isinstance(step, Pause) else left.pop(0)
    except StopIteration as end:
        assert not left
        return end.value, said


def test_an_answer_ends_it() -> None:
    assert held(asked(GET), OK) == (OK, [GET])


@pytest.mark.parametrize("trouble", [Lost("gone"), problem(503), problem(429), problem(502)])
def test_trouble_that_may_pass_is_waited_out(trouble: Heard | Lost) -> None:
    answer, said = held(asked(GET), trouble, trouble, OK)
    assert answer == OK
    assert said == [GET, Pause(0.1), GET, Pause(0.2), GET]


def test_the_server_says_how_long_to_wait_within_reason() -> None:
    told = msgspec.structs.replace(problem(429), headers={"retry-after": "3"})
    endless = msgspec.structs.replace(problem(429), headers={"retry-after": "9999"})
    _, said = held(asked(GET), told, endless, OK)
    assert said == [GET, Pause(3.0), GET, Pause(LONGEST_PAUSE), GET]


def test_trouble_that_does_not_pass_is_told() -> None:
    with pytest.raises(Unreachable, match="GET /x: gone"):
        held(asked(GET), *[Lost("gone")] * TRIES)
    with pytest.raises(Refused) as refused:
        held(asked(GET), *[problem(503, "draining")] * TRIES)
    assert (refused.value.code, refused.value.status) == ("draining", 503)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    with pytest.raises(Refused, match=r"d \[hint: do this\]"):
        held(asked(GET), problem(status))


def test_what_may_have_arrived_is_not_sent_again_where_that_would_change_something() -> None:
    with pytest.raises(Unreachable):
        held(asked(ONCE), Lost("cut"))
    assert held(asked(ONCE), Lost("no connection", sent=False), OK)[0] == OK
    assert held(asked(ONCE), problem(503), OK)[0] == OK


def test_another_tongue_is_a_refusal_too() -> None:
    with pytest.raises(Refused) as refused:
        held(asked(GET), Heard(418, {}, b"<html>teapot</html>"))
    assert (refused.value.code, refused.value.problem.detail) == ("http-418", "<html>teapot</html>")
    with pytest.raises(Refused, match="http-418"):
        held(asked(GET), Heard(418, {}, b'{"title": "\xff"}'))


def test_executing_waits_until_it_has_settled() -> None:
    talk = executions.execute("w", {"a": 1}, {}, "k")
    running, done = Heard(202, {}, execution("running")), Heard(200, {}, execution("completed", output=7))
    found, said = held(talk, running, running, done)
    assert found.result() == 7
    begun, *reads = said
    assert isinstance(begun, Call)
    assert begun.headers["idempotency-key"] == "k"
    assert begun.headers["prefer"] == "wait=30"
    assert [each.path for each in reads if isinstance(each, Call)] == ["/api/v1/executions/exec_1"] * 2


def test_a_request_that_arrived_before_it_was_lost_is_found_again() -> None:
    in_flight = msgspec.structs.replace(
        problem(409, "in-flight"), headers={"location": "/api/v1/executions/exec_1"}
    )
    talk = executions.execute("w", {}, {}, "k")
    found, said = held(talk, Lost("cut"), in_flight, Heard(200, {}, execution("completed", output=1)))
    assert found.result() == 1
    assert said[-1] == Call("GET", "/api/v1/executions/exec_1")


def test_a_query_carries_no_key_and_is_sent_again() -> None:
    talk = executions.query("w", {}, {})
    found, said = held(talk, Lost("cut"), Heard(200, {}, execution("completed", output=1)))
    assert found.result() == 1
    calls = [each for each in said if isinstance(each, Call)]
    assert len(calls) == 2
    assert all("idempotency-key" not in each.headers for each in calls)


def test_a_conflict_that_is_no_flight_is_a_refusal() -> None:
    with pytest.raises(Refused, match="409 conflict"):
        held(executions.execute("w", {}, {}, "k"), problem(409, "conflict"))


@pytest.mark.parametrize(("status", "why"), [("failed", "no: why"), ("running", "it has no result")])
def test_there_is_no_result_without_an_end(status: str, why: str) -> None:
    error = {"error": {"kind": "no", "message": "why", "step": ""}} if status == "failed" else {}
    found = msgspec.json.decode(execution(status, **error), type=Execution)
    with pytest.raises(ExecutionFailed, match=f"exec_1 is {status}: {why}"):
        found.result()


def test_a_stream_goes_on_behind_the_last_fact() -> None:
    following = Following("exec_1", -1)
    assert "last-event-id" not in following.call().headers
    told = following.heard("0", "started", '{"t": "started"}')
    assert told is not None
    assert told.data == {"t": "started"}
    assert following.heard("", "partial", "{}") is None
    assert following.broken(Lost("cut")) == 0.1
    assert following.call().headers["last-event-id"] == "0"
    following.heard("1", "finished", "{}")
    assert following.ended


def test_a_stream_that_never_comes_is_given_up() -> None:
    following = Following("exec_1", 3)
    with pytest.raises(Unreachable):
        [following.broken(Lost("cut")) for _ in range(TRIES)]
    with pytest.raises(Refused):
        following.refused(problem(404))


def test_a_stream_waits_as_long_as_the_server_says() -> None:
    following = Following("exec_1", 3)
    busy = msgspec.structs.replace(problem(503), headers={"retry-after": "3"})
    assert [following.refused(busy), following.refused(problem(503))] == [3.0, 0.2]


def sent(talk: Talk[Any]) -> dict[str, Any]:
    """The body of the first request of a conversation."""
    call = next(talk)
    assert isinstance(call, Call)
    assert call.body is not None
    found: dict[str, Any] = msgspec.json.decode(call.body)
    return found


@pytest.mark.parametrize("given", [0, "", [], False, {}, {"a": 1}])
def test_what_is_given_is_sent_as_it_is(given: object) -> None:
    for talk in (executions.execute("w", given, {}, "k"), executions.query("w", given, {})):
        assert sent(talk)["input"] == given
        assert type(sent(executions.begin("w", given, {}, "k"))["input"]) is type(given)


def test_without_an_input_there_are_no_fields() -> None:
    assert sent(executions.execute("w", None, {}, "k"))["input"] == {}


@pytest.mark.parametrize(
    ("step", "given", "output", "body"),
    [
        (None, UNSET, UNSET, {}),
        ("a", UNSET, UNSET, {"step": "a"}),
        ("a", UNSET, None, {"step": "a", "output": None}),
        (None, None, UNSET, {"input": None}),
        (None, 0, UNSET, {"input": 0}),
    ],
)
def test_a_fork_may_make_something_null(
    step: str | None, given: object, output: object, body: dict[str, Any]
) -> None:
    assert sent(executions.fork("exec_1", step, given, output)) == body


def test_both_clients_can_do_the_same() -> None:
    def methods(client: type) -> dict[str, list[tuple[str, object, object]]]:
        found = {name: value for name, value in vars(client).items() if name[0] != "_" or name == "__init__"}
        return {
            name: [(each.name, each.kind, each.default) for each in signature(value).parameters.values()]
            for name, value in found.items()
        }

    assert methods(Client) == methods(AsyncClient)


@pytest.mark.parametrize("key", ["sr_\N{HORIZONTAL ELLIPSIS}", "sr_1\n"])
def test_a_key_that_no_header_carries_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(ValueError, match="as `strata keys create` printed it"):
        Client("http://127.0.0.1:1", key=key)
