"""The parts of the PostgreSQL store that ask nobody: addresses, texts, batches."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.backends import PLAN, name, records, row

from stratarouter_runtime.errors import (
    Conflict,
    NotFound,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from stratarouter_runtime.storage.postgres.address import parse
from stratarouter_runtime.storage.postgres.batch import Append, Create, Head, Write, stage
from stratarouter_runtime.storage.postgres.faults import concerns_one, lost, translated
from stratarouter_runtime.storage.postgres.text import as_meant, written

# Addresses.


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://ann:sesame@db.example:6543/flows", "postgresql://ann@db.example:6543/flows"),
        ("postgres://db.example/flows", "postgresql://db.example:5432/flows"),
        ("postgresql://ann:sesame@[::1]/flows?sslmode=require", "postgresql://ann@[::1]:5432/flows"),
        ("postgresql://ann:sesame@a:1,b:2/flows", "postgresql://ann@a:1,b:2/flows"),
        ("postgresql://ann:%2F%40sesame@db/flows?password=sesame", "postgresql://ann@db:5432/flows"),
        ("postgresql://ann@db", "postgresql://ann@db:5432/ann"),
        ("postgresql:///flows", "postgresql://localhost:5432/flows"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(url: str, place: str) -> None:
    address = parse(url)
    assert address.place == place
    assert "sesame" not in repr(address)
    assert address.url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db.example/flows",
        "mysql://ann:sesame@db/flows",
        "postgresql+asyncpg://ann:sesame@db/flows",
        "postgresql://ann:sesame@db:port/flows",
        "postgresql://ann:12/sesame@db/flows",
        "postgresql://ann:12#sesame@db/flows",
        "postgresql://ann:se/sa#me@db/flows",
        "postgresql://ann:12,3?sesame@db/flows",
        "postgresql://[ann:sesame@db/flows",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse(url)
    assert caught.value.hint
    assert "sesame" not in caught.value.message + caught.value.hint
    assert type(caught.value) is StoreError


# Faults.


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (asyncpg.DiskFullError("could not extend file"), StoreFull, "no room"),
        (asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"), StoreReadOnly, "not written"),
        (asyncpg.TooManyConnectionsError("sorry"), StoreUnavailable, "no more connections"),
        (
            asyncpg.CannotConnectNowError("the database system is starting up"),
            StoreUnavailable,
            "starting up",
        ),
        (asyncpg.AdminShutdownError("terminating connection"), StoreUnavailable, "cannot be reached"),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable, "connection is closed"),
        (ConnectionRefusedError(111, "Connection refused"), StoreUnavailable, "Connection refused"),
        (TimeoutError(), StoreUnavailable, "no answer in time"),
        (asyncpg.UndefinedTableError("no table\nDETAIL: a row"), StoreError, "no table"),
    ],
)
def test_what_went_wrong_is_told_in_our_words(error: Exception, kind: type[StoreError], said: str) -> None:
    found = translated(error, parse("postgresql://ann:sesame@db/flows"))
    assert type(found) is kind
    assert said in found.message
    assert "DETAIL" not in found.message
    assert "sesame" not in found.message
    assert found.hint


@pytest.mark.parametrize(
    ("error", "gone", "own"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), True, False),
        (asyncpg.CrashShutdownError("gone"), True, False),
        (BrokenPipeError(), True, False),
        (asyncpg.DataError("invalid input"), False, True),
        (asyncpg.CharacterNotInRepertoireError("0x00"), False, True),
        (asyncpg.ProgramLimitExceededError("index row too large"), False, True),
        (asyncpg.DiskFullError("full"), False, False),
        (asyncpg.UniqueViolationError("taken"), False, False),
    ],
)
def test_it_is_known_whose_fault_it_is(error: Exception, *, gone: bool, own: bool) -> None:
    assert lost(error) is gone
    assert concerns_one(error) is own


# Texts.


@given(st.lists(st.text(st.sampled_from("\x00\x01\x02aä")), min_size=2, max_size=4))
def test_texts_are_kept_as_they_are_and_in_their_order(texts: list[str]) -> None:
    kept = [written(text) for text in texts]
    assert not any("\x00" in text for text in kept)
    assert [as_meant(text) for text in kept] == texts
    assert [as_meant(text) for text in sorted(kept)] == sorted(texts)


# Batches.


def staged(*writes: Write, heads: dict[int, Head] | None = None, fresh: tuple[int, ...] = ()) -> Any:
    known = {name(number): head for number, head in (heads or {}).items()}
    return stage(writes, known, {name(number) for number in fresh})


def test_appends_of_one_journal_follow_each_other_in_one_batch() -> None:
    one, two = Append(name(1), records(3), None), Append(name(1), records(4, 5), None)
    result = staged(one, two, heads={1: Head(7, 3)})
    assert [record[:3] for record in result.records] == [(7, 1_003, 3), (7, 1_004, 4), (7, 1_005, 5)]
    assert result.appended == (7, 3)
    assert result.outcomes([one, two], ()) == [None, None]
    assert result.heads == {name(1): Head(7, 6)}


def test_staging_changes_no_head_that_was_known() -> None:
    head = Head(7, 3)
    staged(Append(name(1), records(3), None), heads={1: head})
    assert head == Head(7, 3)


def test_rows_lie_in_the_order_of_places_and_each_journal_in_its_own() -> None:
    writes = [Append(name(1), records(0, 1), None), Append(name(2), records(5), None)]
    columns = staged(*writes, heads={1: Head(9, 0), 2: Head(4, 5)}).record_columns()
    assert columns[0] == [4, 9, 9]
    assert columns[2] == [5, 0, 1]


@pytest.mark.parametrize("seq", [2, 4])
def test_a_head_that_does_not_fit_is_asked_for_before_anything_is_refused(seq: int) -> None:
    write = Append(name(1), records(seq), None)
    assert staged(write, heads={1: Head(7, 3)}).stale == {name(1)}
    final = staged(write, heads={1: Head(7, 3)}, fresh=(1,))
    assert final.stale == set()
    assert final.nothing
    (refused,) = final.outcomes([write], ())
    assert isinstance(refused, Conflict)
    assert "has 3 records" in refused.message


def test_an_execution_that_nobody_knows_is_asked_for_once() -> None:
    write = Append(name(1), records(0), None)
    assert staged(write).stale == {name(1)}
    (refused,) = staged(write, fresh=(1,)).outcomes([write], ())
    assert isinstance(refused, NotFound)


def test_of_two_creators_in_one_batch_the_first_is_offered_first() -> None:
    writes = [Create(5, row(1), records(0)), Create(6, row(1), records(0)), Create(7, row(0), [])]
    result = staged(*writes)
    assert [execution[0] for execution in result.executions] == [5, 6, 7]
    columns = result.all_columns()
    assert columns[5] == [7, 5, 6]
    assert result.outcomes(writes, {5, 7}) == [True, False, True]


def test_of_several_statuses_the_last_counts_and_time_goes_forward() -> None:
    late, early = row(1, status="waiting", updated=9), row(1, status="failed", updated=3)
    result = staged(Append(name(1), [], late), Append(name(1), [], early), heads={1: Head(7, 0)})
    assert list(result.statuses.values()) == [(7, "failed", 9, None, None, None, PLAN)]
    assert result.appended is None
