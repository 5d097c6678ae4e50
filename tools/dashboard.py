"""The Grafana dashboard, made from the table of metrics: `python -m tools.dashboard` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from stratarouter_runtime.observability.table import METRICS, Metric

FILE: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboard.json"

ROWS: Final = {
    "facts": "Executions, steps and agents",
    "driver": "At work",
    "store": "Store",
    "http": "HTTP",
    "agents": "Circuit breakers",
    "cells": "Code behind walls",
    "feed": "Watchers",
    "traces": "Traces",
    "observers": "Observers",
    "process": "Process",
    "loop": "Event loop",
}
"""Source -> the heading under which its figures stand; any other stands under its own name."""

UNITS: Final = {"seconds": "s", "bytes": "bytes", "usd": "currencyUSD", "tokens": "short", "": "short"}
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_HEIGHT: Final = 7
_WIDTH: Final = 8


def build() -> dict[str, Any]:
    """The whole dashboard, a panel for each metric."""
    panels: list[dict[str, Any]] = []
    y = 0
    for source in dict.fromkeys(metric.source for metric in METRICS):
        ours = [metric for metric in METRICS if metric.source == source]
        panels.append(_row(ROWS.get(source, source.capitalize()), y))
        panels += [_panel(metric, place, y + 1) for place, metric in enumerate(ours)]
        y += 1 + _HEIGHT * ((len(ours) + 2) // 3)
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": "stratarouter-runtime",
        "title": "StrataRouter Runtime",
        "schemaVersion": 41,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_sources(), _instances()]},
        "panels": panels,
    }


def _sources() -> dict[str, Any]:
    return {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _instances() -> dict[str, Any]:
    return {
        "name": "instance",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(stratarouter_build_info, instance)",
        "includeAll": True,
        "multi": True,
        "refresh": 2,
    }


def _row(title: str, y: int) -> dict[str, Any]:
    return {"type": "row", "title": title, "collapsed": False, "gridPos": _grid(0, y, 24, 1)}


def _panel(metric: Metric, place: int, y: int) -> dict[str, Any]:
    down, across = divmod(place, 3)
    return {
        "type": "timeseries",
        "title": metric.help.rstrip("."),
        "description": metric.family,
        "datasource": _SOURCE,
        "gridPos": _grid(across * _WIDTH, y + down * _HEIGHT, _WIDTH, _HEIGHT),
        "fieldConfig": {"defaults": {"unit": _unit(metric), "min": 0}, "overrides": []},
        "targets": [
            {"refId": "ABC"[number], "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(_queries(metric))
        ],
    }


def _queries(metric: Metric) -> list[tuple[str, str]]:
    """What is asked for, and what its lines are called."""
    ours = f'{metric.family}{{instance=~"$instance"}}'
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    by = f" by ({', '.join(metric.labels)})" if metric.labels else ""
    match metric.kind:
        case "counter":
            return [(f"sum{by} (rate({ours}[$__rate_interval]))", legend or "a second")]
        case "gauge":
            return [(f"sum{by} ({ours})", legend or "{{instance}}")]
        case "histogram":
            buckets = f'{metric.family}_bucket{{instance=~"$instance"}}'
            inner = f"sum by ({', '.join(('le', *metric.labels))}) (rate({buckets}[$__rate_interval]))"
            return [
                (f"histogram_quantile({share}, {inner})", f"{legend} p{round(share * 100)}".strip())
                for share in (0.5, 0.99)
            ]


def _unit(metric: Metric) -> str:
    if metric.name == "start_time_seconds":
        return "dateTimeFromNow"
    if metric.kind == "counter" and not metric.unit:
        return "ops"
    return UNITS[metric.unit]


def _grid(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def text() -> str:
    """The file."""
    return json.dumps(build(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
