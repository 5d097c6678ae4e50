"""Executions as traces, taken in by a real collector of OTLP over HTTP."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.http.stage import BASE, BOOM, ECHO, Client, Stage
from tests.quiet import QuietServer
from typing_extensions import override

from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.exchange import Service
from stratarouter_runtime.ids import ExecutionId, StepPath
from stratarouter_runtime.observability.tracing import Sampler
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tcfp.digests import step_key
from stratarouter_runtime.traces import call_span, parse, root_span
from stratarouter_runtime.wiring import application

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SPAN: Final = "b7ad6b7169203331"
OUTER: Final = """tcfp: "1.0"
flow: outer
agents: [echo]
in: {query: string}
out: {answer: string}
do:
  - id: inner
    call: echo
    with: {query: =query}
return: {answer: =inner.answer}
"""


class Collector:
    """What a collector has been sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.paths: list[str] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
                collector.requests.append(request)
                collector.paths.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            @override
            def log_message(self, *_: Any) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> dict[str, Any]:
        """Every span, by its id in hex."""
        return {
            span.span_id.hex(): span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


@asynccontextmanager
async def traced(endpoint: str, share: float = 1.0) -> AsyncIterator[Client]:
    """A client of an application that sends traces; at the end all are sent."""
    stage = Stage()
    settings = Settings(encoder="lexical", trace_endpoint=endpoint, trace_share=share)
    async with application(settings, stage.registry, store=":memory:") as app:
        service = Service(app.runtime, app.observatory, SystemEntropy(), "1.2.3", app.place)
        transport = httpx2.ASGITransport(app=create_app(service))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
            yield Client(http, app, service, stage)


def attributes(span: Any) -> dict[str, Any]:
    """The attributes of a span."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


async def test_an_execution_is_a_trace_under_the_span_of_its_caller(collector: Collector) -> None:
    async with traced(collector.url) as client:
        await client.deploy("echo", ECHO)
        sent = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        found = (await client.execute("echo", headers=sent)).json()
        (call,) = client.stage.say.calls
    execution = ExecutionId(found["execution_id"])
    root, step = root_span(execution), call_span(execution, step_key(StepPath("0")), 1)
    spans = collector.spans
    assert set(spans) == {root, step}
    assert set(collector.paths) == {"/v1/traces"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    whole, called = spans[root], spans[step]
    assert (whole.name, whole.parent_span_id.hex()) == ("invoke_workflow echo", SPAN)
    assert (called.name, called.parent_span_id.hex()) == ("invoke_agent say", root)
    assert whole.start_time_unix_nano <= called.start_time_unix_nano <= called.end_time_unix_nano
    assert called.end_time_unix_nano <= whole.end_time_unix_nano
    assert attributes(whole)["gen_ai.operation.name"] == "invoke_workflow"
    assert attributes(whole)["strata.execution.id"] == execution
    told = attributes(called)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 5)
    assert (told["gen_ai.agent.name"], told["strata.attempt"]) == ("say", 1)
    assert call.trace == f"00-{TRACE}-{step}-01"
    resource = collector.requests[0].resource_spans[0].resource
    assert attributes(resource)["service.name"] == "stratarouter-runtime"


async def test_a_flow_that_is_called_goes_on_with_the_trace(collector: Collector) -> None:
    async with traced(collector.url) as client:
        await client.deploy("echo", ECHO)
        await client.deploy("outer", OUTER)
        await client.execute("outer")
    spans = collector.spans.values()
    assert len({span.trace_id for span in spans}) == 1
    by_name = {span.name: span for span in spans}
    outer = next(span for span in spans if span.name == "invoke_workflow outer")
    calls = [span for span in spans if span.parent_span_id == outer.span_id]
    (inner,) = [span for span in spans if span.parent_span_id == calls[0].span_id]
    assert (calls[0].name, inner.name) == ("invoke_workflow echo", "invoke_workflow echo")
    assert by_name["invoke_agent say"].parent_span_id == inner.span_id


async def test_a_failure_is_told_by_its_kind_and_nothing_of_its_message(collector: Collector) -> None:
    async with traced(collector.url) as client:
        await client.deploy("boom", BOOM)
        await client.execute("boom")
    for span in collector.spans.values():
        assert (span.status.code, span.status.message) == (2, "agent.refused")
    assert not any(b"will not" in request.SerializeToString() for request in collector.requests)


@pytest.mark.parametrize(
    ("share", "flags", "sent"), [(1.0, "00", 0), (0.0, "01", 2), (0.0, None, 0), (1.0, None, 2)]
)
async def test_the_caller_decides_whether_it_is_recorded_and_else_the_share(
    collector: Collector, share: float, flags: str | None, sent: int
) -> None:
    async with traced(collector.url, share) as client:
        await client.deploy("echo", ECHO)
        headers = {} if flags is None else {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}
        await client.execute("echo", headers=headers)
        (call,) = client.stage.say.calls
        place = parse(call.trace)
    assert len(collector.spans) == sent
    assert place is not None
    assert place.sampled == (sent > 0)


async def test_without_a_collector_at_its_place_executions_go_on() -> None:
    async with traced("http://127.0.0.1:9") as client:
        await client.deploy("echo", ECHO)
        assert (await client.execute("echo")).json()["status"] == "completed"
        await client.app.observatory.close()
        told = client.app.observatory.metrics.snapshot()["traces"]
        assert told.traces == {"sent": 1}  # type: ignore[attr-defined]  # the statistics of traces


async def test_nothing_of_opentelemetry_is_recorded_where_no_collector_is_named(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    await quick.execute("echo")
    assert "traces" not in quick.app.observatory.metrics.names
    (call,) = quick.stage.say.calls
    place = parse(call.trace)
    assert place is not None
    assert not place.sampled


def test_a_share_of_the_ids_is_recorded() -> None:
    ids = [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(1, 2_001)]
    assert not any(map(Sampler(0), ids))
    assert all(map(Sampler(1), ids))
    assert 400 < sum(map(Sampler(0.25), ids)) < 600
