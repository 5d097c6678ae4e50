from __future__ import annotations

from typing import Any

import pytest
from tests.clocks import Hand

from stratarouter_runtime.cache.book import TermsBook
from stratarouter_runtime.cache.policy import SECOND, Defaults, Policy, Wishes, settle
from stratarouter_runtime.cache.terms import USUAL, Terms, read_terms
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import STRING, record

ANN, BOB = Tenant("ann"), Tenant("bob")
SIGNATURE = Signature(record({"q": STRING}), STRING, effect="pure", cache="semantic", semantic=("q",))
DEFAULTS = Defaults(threshold=0.8, ttl=100 * SECOND, max_age=50 * SECOND, shadow=0.5)


def settled(terms: Terms, wishes: Wishes = Wishes()) -> Policy:  # noqa: B008 - frozen
    policy = settle(SIGNATURE, DEFAULTS, wishes, terms)
    assert isinstance(policy, Policy), policy
    return policy


@pytest.mark.parametrize(
    ("terms", "wishes", "expected"),
    [
        (USUAL, Wishes(), (0.8, 100, 50, 0.5)),
        (Terms(threshold=0.7), Wishes(), (0.7, 100, 50, 0.5)),
        (Terms(threshold=0.9), Wishes(threshold=0.5), (0.9, 100, 50, 0.5)),
        (Terms(threshold=0.9), Wishes(threshold=0.95), (0.95, 100, 50, 0.5)),
        (Terms(ttl_seconds=7), Wishes(), (0.8, 7, 50, 0.5)),
        (Terms(ttl_seconds=0, max_age_seconds=0, shadow_share=0.0), Wishes(), (0.8, 0, 0, 0.0)),
        (Terms(max_age_seconds=80), Wishes(), (0.8, 100, 80, 0.5)),
        (Terms(max_age_seconds=80), Wishes(max_age=9 * SECOND), (0.8, 100, 9, 0.5)),
        (Terms(max_age_seconds=8), Wishes(max_age=9 * SECOND), (0.8, 100, 8, 0.5)),
    ],
)
def test_terms_stand_before_the_settings_and_requests_only_tighten(
    terms: Terms, wishes: Wishes, expected: tuple[float, int, int, float]
) -> None:
    policy = settled(terms, wishes)
    assert policy.max_age is not None
    assert (policy.threshold, policy.ttl // SECOND, policy.max_age // SECOND, policy.shadow) == expected


def test_tags_of_the_terms_mark_and_do_not_ask() -> None:
    policy = settled(Terms(tags=("a", "b")), Wishes(tags=("b", "c")))
    assert (policy.tags, policy.marks) == (("b", "c"), ("b", "c", "a"))


@pytest.mark.parametrize(
    ("terms", "wishes", "why"),
    [
        (Terms(enabled=False), Wishes(), "policy"),
        (Terms(scope="user"), Wishes(), "personal"),
        (Terms(scope="user", enabled=False), Wishes(scope="ann"), "policy"),
    ],
)
def test_terms_can_forbid(terms: Terms, wishes: Wishes, why: str) -> None:
    assert settle(SIGNATURE, DEFAULTS, wishes, terms) == why
    assert settled(Terms(scope="user"), Wishes(scope="ann")).scope == "ann"


@pytest.mark.parametrize("cache", ["never", "run", None])
def test_terms_permit_nothing_that_the_author_did_not(cache: Any) -> None:
    signature = Signature(record({"q": STRING}), STRING, effect="pure", cache=cache)
    assert isinstance(settle(signature, DEFAULTS, Wishes(), Terms(threshold=0.5)), str)


@pytest.mark.parametrize(
    "given",
    [
        {"threshold": 0.4},
        {"threshold": 1.1},
        {"threshold": "0.9"},
        {"ttl_seconds": -1},
        {"ttl_seconds": 1e99},
        {"shadow_share": 2},
        {"scope": "tenant"},
        {"tags": [""]},
        {"tags": ["x"] * 17},
        {"treshold": 0.9},
        7,
    ],
)
def test_what_does_not_fit_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="the terms do not fit"):
        read_terms(given)


async def test_terms_are_those_of_one_tenant_and_space() -> None:
    shelf, clock = MemoryStore().shelf, Hand()
    book, other = TermsBook(shelf, clock), TermsBook(shelf, clock)
    assert await other.of(ANN, "flow:t") == USUAL
    await book.put(ANN, "flow:t", Terms(threshold=0.9), by="ann")
    assert await book.of(ANN, "flow:t") == Terms(threshold=0.9)
    assert [await book.of(*place) for place in ((BOB, "flow:t"), (ANN, "agent:t"))] == [USUAL, USUAL]
    assert await other.of(ANN, "flow:t") == USUAL
    clock.at += 2 * SECOND  # another process hears of it within about a second
    assert await other.of(ANN, "flow:t") == Terms(threshold=0.9)
    assert await book.all(ANN) == {"flow:t": Terms(threshold=0.9)}
    assert await book.remove(ANN, "flow:t")
    assert not await book.remove(ANN, "flow:t")
    assert await book.of(ANN, "flow:t") == USUAL
