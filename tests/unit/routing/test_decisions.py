from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.routing.fake import ENCODER, decide, fitted, router, table, vectors

from stratarouter_runtime.errors import InvalidInput, InvalidState
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router
from stratarouter_runtime.routing.explained import MAX_QUERY
from stratarouter_runtime.routing.tables import Route, Table

CALIBRATED = router(table(none=24))
BY_COSINE = router(table())
QUICK = router(table(), quick=True)


@pytest.mark.parametrize("made", [CALIBRATED, BY_COSINE, QUICK], ids=["calibrated", "cosine", "quick"])
@pytest.mark.parametrize(
    ("query", "route"),
    [("a refund for me", "billing"), ("my login", "tech"), ("the hotel is full", "travel")],
)
def test_a_query_goes_to_the_route_it_is_like(made: Router, query: str, route: str) -> None:
    assert decide(made, query).best == route


def test_a_decision_says_what_it_rests_on() -> None:
    found = decide(CALIBRATED, "please help with the refund")
    assert (found.route, found.by, found.method, found.note) == ("billing", "table", "calibrated", "")
    assert found.confidence >= found.threshold
    assert found.table == CALIBRATED.digest
    assert [each.route for each in found.candidates][:2] == ["billing", found.runner_up]
    assert found.margin == pytest.approx(found.candidates[0].score - found.candidates[1].score, abs=2e-6)
    assert sum(each.score for each in found.candidates) == pytest.approx(1.0, abs=1e-5)


def test_what_belongs_nowhere_is_refused_and_the_nearest_is_told() -> None:
    found = decide(CALIBRATED, "quantum zebra xylophone")
    assert (found.route, found.by) == (None, "none")
    assert found.best in CALIBRATED.routes
    assert found.confidence < found.threshold


def test_without_foreign_examples_a_cosine_decides_and_the_decision_says_so() -> None:
    found = decide(BY_COSINE, "quantum zebra xylophone")
    assert (found.route, found.method) == (None, "cosine")
    assert "too few examples of what belongs to no route" in found.note


def test_with_hardly_an_example_nothing_is_refused_and_the_decision_says_so() -> None:
    made = router(Table("one", (Route("only", ("a single example",)),)))
    found = decide(made, "quantum zebra xylophone")
    assert (found.route, found.method, found.runner_up) == ("only", "anything", "")
    assert "nothing is refused" in found.note


def test_only_the_candidates_are_weighed() -> None:
    found = decide(CALIBRATED, "a refund for me", ["tech", "travel"])
    assert found.best in {"tech", "travel"}
    assert {each.route for each in found.candidates} == {"tech", "travel"}


def test_equal_scores_go_to_the_higher_priority_and_then_to_the_first_name() -> None:
    twins = (Route("b", ("apples", "pears")), Route("a", ("plums", "figs")))
    for priority, best in ((0, "a"), (1, "b")):
        routes = (Route("b", twins[0].utterances, priority=priority), twins[1])
        assert decide(router(Table("t", routes), quick=True), "?!").best == best


@pytest.mark.parametrize("query", ["", " \t\n", "x" * (MAX_QUERY + 1), "\udc80"])
def test_what_is_no_query_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        CALIBRATED.decide(query, b"", ENCODER)
    assert caught.value.pointer == "/query"


def test_a_query_is_a_text() -> None:
    with pytest.raises(InvalidInput, match="not a int"):
        CALIBRATED.decide(7, b"", ENCODER)  # type: ignore[arg-type]


@given(st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()))
def test_any_text_is_decided_alike_every_time(query: str) -> None:
    assert decide(CALIBRATED, query) == decide(CALIBRATED, query)


@pytest.mark.parametrize(
    "query", ["refund " * 9_000, "\u0000\u0007", "((((((", "🙂" * 500, "İ" * 50, "a\u0301" * 99]
)
def test_adversarial_queries_are_decided(query: str) -> None:
    assert decide(CALIBRATED, query).best in CALIBRATED.routes


def test_an_encoder_that_changed_is_told_by_name() -> None:
    with pytest.raises(InvalidState, match="fitted with the encoder hashed, and other is in use"):
        CALIBRATED.decide("x", vectors(["x"])[0].tobytes(), "other")


@pytest.mark.parametrize("vector", [np.zeros(7), np.full(64, np.nan), np.full(64, np.inf)])
def test_vectors_that_are_none_are_told(vector: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    with pytest.raises(InvalidState, match="is not what it was"):
        CALIBRATED.decide("x", vector.astype("<f4").tobytes(), ENCODER)


def test_an_encoder_that_gives_no_numbers_fits_no_table() -> None:
    written = table()
    known = fitting.examples(written)
    broken = np.full((len(known.texts), 4), np.nan, dtype=np.float32)
    with pytest.raises(InvalidInput, match="no numbers"):
        fitting.fit(written, broken, broken[:0], ENCODER)


def test_a_table_read_back_decides_as_the_one_that_was_made() -> None:
    made = fitted(table(none=24))
    body = fitting.encode(made)
    again = Router(fitting.decode(body), fitting.digest_of(body))
    for query in ("a refund", "hotel", "zebra", "the password of my invoice"):
        assert decide(again, query) == decide(CALIBRATED, query)


def test_other_bytes_are_no_table() -> None:
    for body in (b"", b"\x81", b"{}"):
        with pytest.raises(InvalidInput, match="no fitted routing table"):
            fitting.decode(body)


def test_the_report_is_of_examples_the_table_had_not_seen() -> None:
    report = fitted(table(none=24)).report
    assert (report.queries, report.none) == (48, 24)
    assert 0.9 < report.right <= 1.0
    assert report.accepted <= report.right


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_every_process_makes_the_same_table_and_the_same_decision(hash_seed: str) -> None:
    code = (
        "from tests.unit.routing.fake import *; made = router(table(none=24));"
        "print(made.digest, decide(made, 'the password of my invoice'))"
    )
    found = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},  # noqa: TID251 - the child needs a path
        capture_output=True,
        text=True,
        check=True,
    )
    expected = decide(CALIBRATED, "the password of my invoice")
    assert found.stdout.strip() == f"{CALIBRATED.digest} {expected}"
