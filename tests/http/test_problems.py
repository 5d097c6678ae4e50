"""Every refusal is a problem document, whatever refuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.http.stage import ECHO, EXECUTE, Client, check_problem

from stratarouter_runtime import errors
from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.errors import KINDS, Refused, refusal, rendered
from stratarouter_runtime.api.exchange import LARGER, MAX_BODY

SUBMIT = "/api/v1/batch/submit"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def kinds_of_error(root: type[errors.StrataError] = errors.StrataError) -> Iterator[type[errors.StrataError]]:
    yield root
    for each in root.__subclasses__():
        yield from kinds_of_error(each)


def test_every_code_of_an_error_has_a_status() -> None:
    own = {kind.code for kind in kinds_of_error() if kind.__module__ == errors.__name__}
    assert own - KINDS.keys() == set()


@pytest.mark.parametrize("code", KINDS)
def test_every_code_renders(code: str) -> None:
    status, headers, body = rendered(Refused(code, "detail"), "/x", TRACE)
    kind = KINDS[code]
    assert 400 <= status < 600
    assert ((b"retry-after", b"2") in headers) == kind.retry
    assert code.encode() in body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StoreFull("the disk is full", hint="make room"), 507),
        (errors.StoreUnavailable("gone"), 503),
        (errors.StoreReadOnly("read only"), 503),
        (errors.LimitExceeded("too much"), 429),
        (errors.JournalMismatch("changed"), 500),
        (errors.Conflict("twice"), 409),
    ],
)
async def test_what_the_runtime_raises_is_told_with_its_code(
    quick: Client, monkeypatch: pytest.MonkeyPatch, error: errors.StrataError, status: int
) -> None:
    _break(quick, monkeypatch, error)
    response = await quick.execute("echo")
    found = check_problem(response, status, error.code)
    assert (found["detail"], found["hint"]) == (error.message, error.hint or "")
    assert ("retry-after" in response.headers) == KINDS[error.code].retry


async def test_a_defect_is_told_without_a_word_about_it_and_logged_with_its_traceback(
    quick: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _break(quick, monkeypatch, ZeroDivisionError("secret"))
    with caplog.at_level(logging.ERROR):
        found = check_problem(await quick.execute("echo"), 500, "internal")
    assert "secret" not in str(found)
    (record,) = caplog.records
    assert found["trace_id"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def _break(client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    client.http.event_hooks = {}  # what breaks here is nothing that the operation says of itself

    async def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(client.app.runtime.flows, "deployed", broken)


async def test_an_unexpected_exception_is_internal() -> None:
    assert refusal(RuntimeError("secret")).code == "internal"


# Paths and methods.


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/nope", "/api/v1/health/", "/api/v2/health", "/api/v1/executions/"]
)
async def test_a_path_without_anything_is_404(quick: Client, path: str) -> None:
    found = check_problem(await quick.http.get(path), 404, "not-found")
    assert found["instance"] == path


@pytest.mark.parametrize(("path", "handlers"), ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_method_that_is_not_possible_is_405_with_those_that_are(
    quick: Client, path: str, handlers: dict[str, Any], method: str
) -> None:
    if method in handlers:
        return
    response = await quick.http.request(method, path.replace("{", "").replace("}", ""))
    check_problem(response, 405, "method-not-allowed")
    allowed = {*handlers, *({"HEAD"} if "GET" in handlers else ())}
    assert set(response.headers["allow"].split(", ")) == allowed


async def test_what_a_problem_means_can_be_asked(quick: Client) -> None:
    problem = (await quick.execute("nope")).json()
    found = (await quick.http.get(problem["type"])).json()
    assert found == {"code": "not-found", "title": problem["title"], "status": 404, "retry": False}
    check_problem(await quick.http.get("/problems/nope"), 404, "not-found")


# Ids.


async def test_the_trace_of_the_caller_is_continued(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    response = await quick.execute("echo", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    answer = response.json()
    assert answer["trace_id"] == TRACE
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", response.headers["traceresponse"])
    later = (await quick.http.get(f"/api/v1/executions/{answer['execution_id']}")).json()
    assert later["trace_id"] == TRACE


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        f"00-{TRACE}",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        "\xff",
    ],
)
async def test_a_trace_that_is_none_is_replaced(quick: Client, sent: str) -> None:
    response = await quick.http.get("/nope", headers=[(b"traceparent", sent.encode("latin-1"))])
    assert re.fullmatch("[0-9a-f]{32}", response.json()["trace_id"])
    assert response.json()["trace_id"] != TRACE


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1", True), ("a b", False), ("x" * 129, False), ("\xe9", False)]
)
async def test_the_request_id_of_the_caller_comes_back_where_it_can(
    quick: Client, sent: str, *, kept: bool
) -> None:
    response = await quick.http.get("/livez", headers=[(b"x-request-id", sent.encode("latin-1"))])
    assert (response.headers["x-request-id"] == sent) == kept
    assert kept or re.fullmatch("req_[0-9a-f]{32}", response.headers["x-request-id"])


# Hosts.


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8080", "127.1.2.3", "[::1]:80"])
async def test_names_of_this_machine_are_answered(quick: Client, host: str) -> None:
    assert (await quick.http.get("/livez", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::2]", ""]
)
async def test_other_names_are_misdirected(quick: Client, host: str) -> None:
    check_problem(await quick.http.get("/livez", headers={"host": host}), 421, "misdirected")


# Draining.


async def test_while_it_shuts_down_it_answers_questions_but_takes_no_work(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    execution = (await quick.execute("echo")).json()["execution_id"]
    quick.service.draining = True
    for response in (await quick.execute("echo"), await quick.deploy("echo", ECHO)):
        check_problem(response, 503, "draining")
        assert response.headers["retry-after"] == "2"
    check_problem(await quick.http.get("/readyz"), 503, "draining")
    assert (await quick.http.get("/livez")).json()["status"] == "draining"
    assert (await quick.http.get("/api/v1/health")).json()["status"] == "draining"
    assert (await quick.http.get(f"/api/v1/executions/{execution}")).json()["status"] == "completed"


async def test_work_that_comes_between_the_signal_and_the_drain_is_refused_as_draining(
    quick: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quick.deploy("echo", ECHO)
    start = quick.app.runtime.start

    async def late(request: Any) -> Any:
        quick.service.draining = True
        await quick.app.driver.drain(0)
        return await start(request)

    monkeypatch.setattr(quick.app.runtime, "start", late)
    check_problem(await quick.execute("echo"), 503, "draining")


async def test_work_that_was_made_durable_while_the_drain_began_is_left_to_the_next_process(
    quick: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quick.deploy("echo", ECHO)
    create = quick.app.store.create

    async def slow(*given: Any) -> bool:
        made = await create(*given)
        await quick.app.driver.drain(0)
        return made

    monkeypatch.setattr(quick.app.store, "create", slow)
    response = await quick.execute("echo")
    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert quick.stage.say.calls == []
    assert not quick.app.driver.active


# The limit of a body is held against what is stated, too.


async def test_a_batch_may_be_larger_and_has_a_limit_too(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    headers = {"content-type": "application/json"}
    limit = LARGER[SUBMIT]
    frame = b'{"items":[{"workflow_id":"echo","input":{"query":"%b"}}]}'
    for size, status in ((limit, 202), (limit + 1, 413)):
        body = frame % (b"x" * (size - len(frame) + 2))
        assert (await quick.http.post(SUBMIT, content=body, headers=headers)).status_code == status
    refused = await quick.http.post(
        SUBMIT, content=b"{}", headers=headers | {"content-length": str(limit + 1)}
    )
    assert str(limit) in check_problem(refused, 413, "body-too-large")["detail"]


@pytest.mark.parametrize("stated", [str(MAX_BODY + 1), "9" * 19])
async def test_a_stated_length_beyond_the_limit_is_refused_before_reading(quick: Client, stated: str) -> None:
    response = await quick.http.post(EXECUTE, content=b"{}", headers={"content-length": stated})
    check_problem(response, 413, "body-too-large")
    assert response.headers["connection"] == "close"
