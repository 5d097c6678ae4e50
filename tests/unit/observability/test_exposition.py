"""What is rendered says to Prometheus' own reader what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stratarouter_runtime.observability.exposition import lines
from stratarouter_runtime.observability.table import METRICS, Kind, Metric
from stratarouter_runtime.tally import Histogram

COUNTER = Metric("calls_total", "counter", "Calls.", "s", "f", labels=("agent", "outcome"))


def read(metric: Metric, value: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample that Prometheus reads, by its name and labels."""
    (family,) = text_string_to_metric_families("".join(lines(metric, value)))
    assert family.documentation == metric.help
    assert family.type == metric.kind
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for each in family.samples}


def metric(kind: Kind, *labels: str) -> Metric:
    return Metric("x_total" if kind == "counter" else "x", kind, "Help.", "s", "f", labels=labels)


def test_a_number_is_one_line() -> None:
    assert read(metric("gauge"), 3) == {("stratarouter_x", ()): 3}


@given(st.dictionaries(st.tuples(st.text(), st.text()), st.integers(0, 2**53)))
def test_labels_come_back_whatever_they_hold(value: Mapping[tuple[str, str], int]) -> None:
    text = "".join(lines(COUNTER, dict(value.items())))
    found = {
        (sample.labels["agent"], sample.labels["outcome"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found == value


@given(st.lists(st.floats(0, 1_000)))
def test_a_histogram_counts_up_to_each_bound(values: list[float]) -> None:
    histogram = Histogram((0.5, 1.0, 10.0))
    for value in values:
        histogram.observe(value)
    found = read(metric("histogram", "w"), {"a": histogram.snapshot()})
    for bound in ("0.5", "1.0", "10.0"):
        wanted = sum(value <= float(bound) for value in values)
        assert found["stratarouter_x_bucket", (("le", bound), ("w", "a"))] == wanted
    assert found["stratarouter_x_bucket", (("le", "+Inf"), ("w", "a"))] == len(values)
    assert found["stratarouter_x_count", (("w", "a"),)] == len(values)
    assert abs(found["stratarouter_x_sum", (("w", "a"),)] - sum(values)) < 1e-6


def test_a_histogram_without_labels_has_none_but_its_bounds() -> None:
    found = read(metric("histogram"), Histogram((1.0,)).snapshot())
    assert found["stratarouter_x_bucket", (("le", "+Inf"),)] == 0
    assert found["stratarouter_x_sum", ()] == 0


def test_no_two_families_have_one_name() -> None:
    names = [each.family for each in METRICS]
    assert len(set(names)) == len(names)


def test_names_tell_kind_and_unit() -> None:
    for each in METRICS:
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        if each.unit:
            assert each.name.removesuffix("_total").endswith(f"_{each.unit}"), each.name
        assert each.help.endswith("."), each.name


def test_no_label_is_unbounded() -> None:
    labels = {label for each in METRICS for label in each.labels}
    assert labels.isdisjoint({"tenant", "execution", "path", "trace", "step", "key", "user"})
