"""`GET /metrics` after real executions, read by Prometheus' own reader."""

from __future__ import annotations

import asyncio
import json
import re
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.http.stage import BOOM, ECHO, PRIVATE, ROUTED, Client

from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.observability.logs import open_log
from stratarouter_runtime.observability.outlet import LINGER
from stratarouter_runtime.observability.table import METRICS, Metric
from stratarouter_runtime.observability.tracing import TraceStats
from stratarouter_runtime.sandbox.cells import CellStats
from stratarouter_runtime.services.retention import RetentionStats
from stratarouter_runtime.system import SystemClock

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


OFF: Final = {"traces": TraceStats, "cells": CellStats, "retention": RetentionStats}
"""Parts that are at work only where something needs them."""


async def figures(client: Client) -> dict[tuple[str, ...], float]:
    """Every sample, by its name (without the prefix) and the values of its labels as they come."""
    client.app.observatory.metrics._told.forget()
    response = await client.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name.removeprefix("stratarouter_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_executions_and_agents_are_counted(client: Client) -> None:
    await client.deploy("echo", ECHO)
    await client.deploy("boom", BOOM)
    for _ in range(3):
        await client.execute("echo")
    await client.execute("boom")
    found = await figures(client)
    assert found["executions_started_total", "echo"] == 3
    assert found["executions_total", "echo", "completed"] == 3
    assert found["executions_total", "boom", "failed"] == 1
    assert found["execution_duration_seconds_count", "echo"] == 3
    assert found["agent_calls_total", "say", "returned"] == 3
    assert found["agent_calls_total", "say", "failed"] == 0
    assert found["agent_failures_total", "boom", "agent.refused"] == 1
    assert found["agent_tokens_total", "say", "input"] == 30
    assert found["agent_tokens_total", "say", "output"] == 15
    assert found["agent_cost_usd_total", "say"] == pytest.approx(0.0063)
    assert found["agent_cost_usd_total", "boom"] == 0.5
    assert found["agent_call_duration_seconds_sum", "say"] == pytest.approx(0.0045)
    assert found["steps_total", "call"] == 3
    assert found["executions_active",] == 0


async def test_routes_are_counted_by_what_decided_and_their_calls_by_who_was_chosen(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    await client.execute("routed", "t")
    await client.execute("routed", "telling")
    found = await figures(client)
    assert found["route_decisions_total", "rule"] == 1
    assert found["route_decisions_total", "meaning"] == 1
    assert found["agent_calls_total", "tell", "returned"] >= 1


async def test_a_fork_counts_what_it_does_and_not_what_it_took_over(client: Client) -> None:
    await client.deploy("echo", ECHO)
    first = (await client.execute("echo")).json()["execution_id"]
    forked = await client.http.post(f"/api/v1/executions/{first}/fork", json={"input": {"query": "other"}})
    await client.app.driver.ended(forked.json()["execution_id"])
    found = await figures(client)
    assert found["executions_started_total", "echo"] == 2
    assert found["executions_total", "echo", "completed"] == 2
    assert found["agent_calls_total", "say", "returned"] == 2


async def test_requests_are_counted_by_template_and_class(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    await quick.http.get("/api/v1/executions/exec_" + "0" * 32)
    await quick.http.get("/api/v1/executions/exec_" + "1" * 32)
    await quick.http.get("/nowhere/at/all")
    found = await figures(quick)
    assert found["http_requests_total", "PUT", "/api/v1/workflows/{id}", "2xx"] == 1
    assert found["http_requests_total", "GET", "/api/v1/executions/{id}", "4xx"] == 2
    assert found["http_requests_total", "GET", "(none)", "4xx"] == 1
    routes = {key[2] for key in found if key[0] == "http_requests_total"}
    assert routes <= {path for path, _ in ROUTES} | {"(none)"}


async def test_a_store_on_disk_tells_its_commits(client: Client) -> None:
    await client.deploy("echo", ECHO)
    await client.execute("echo")
    found = await figures(client)
    commits = found["store_commit_duration_seconds_count",]
    assert commits == found["store_sync_duration_seconds_count",] == found["store_commit_writes_count",]
    assert (commits > 0) == (client.app.place != ":memory:")
    assert found["store_sync_duration_seconds_sum",] <= found["store_commit_duration_seconds_sum",]


async def test_every_figure_of_the_table_comes_from_a_part_that_is_there(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    await quick.execute("echo")
    snapshot = quick.app.observatory.metrics.snapshot()
    for metric in METRICS:
        if metric.source not in OFF:
            attrgetter(metric.field)(snapshot[metric.source])
    assert snapshot.keys() | OFF.keys() == {metric.source for metric in METRICS}


@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS if metric.source in OFF], ids=lambda metric: metric.name
)
def test_figures_of_parts_that_are_off_exist_as_well(metric: Metric) -> None:
    of: Any = OFF[metric.source]
    for name in metric.field.split("."):
        of = {field.name: field.type for field in msgspec.structs.fields(of)}[name]


def test_every_figure_is_in_the_reference_and_no_other() -> None:
    rows = re.findall(r"^\| `(stratarouter_\w+)` \| (\w+) \|([^|]*)\|", OPERATIONS, re.MULTILINE)
    told = {name: (kind, labels.strip()) for name, kind, labels in rows}
    assert told == {
        metric.family: (metric.kind, ", ".join(f"`{label}`" for label in metric.labels)) for metric in METRICS
    }


async def test_one_line_tells_of_an_execution_and_nothing_of_its_values(client: Client) -> None:
    stream = BytesIO()
    client.app.observatory.write_lines(open_log(stream, SystemClock(), "debug", "json"), steps=True)
    await client.deploy("private", PRIVATE)
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    found = (await client.execute("private", "very private", headers=sent)).json()
    await asyncio.sleep(2 * LINGER)
    lines: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert b"very private" not in stream.getvalue().lower()
    assert [line["event"] for line in lines] == ["call ended", "call ended", "execution ended"]
    assert [line["agent"] for line in lines[:2]] == ["look", "count"]
    end = lines[-1]
    assert end["execution"] == found["execution_id"]
    assert (end["workflow"], end["status"], end["steps"], end["trace"]) == ("private", "completed", 2, trace)
    assert (end["plan"], end["tenant"], end["level"]) == (found["plan"], "local", "info")
    assert {"ms", "usd", "tokens_in", "tokens_out", "at"} <= end.keys()


async def test_a_defect_is_a_line_with_its_traceback(quick: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("hm")

    stream = BytesIO()
    quick.app.observatory.write_lines(open_log(stream, SystemClock(), "info", "json"), steps=False)
    monkeypatch.setattr(quick.app.runtime.flows, "deployed", broken)
    response = await quick.execute("echo")
    (line,) = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert (line["level"], line["code"], line["trace"]) == ("error", "internal", response.json()["trace_id"])
    assert "ZeroDivisionError" in line["exception"]
