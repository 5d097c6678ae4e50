"""Journals of every version replay for ever, to the byte and to the same end."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.golden.write import EXAMPLES, FOLDER, Golden, main

from stratarouter_runtime.host import installed_version
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.events import Event, Finished, Returned
from stratarouter_runtime.state.replay import plans_of, replay
from stratarouter_runtime.tcfp.compiler import compile_document

FILES = sorted(FOLDER.glob("*/*.json"))


def test_there_is_a_set_for_this_version() -> None:
    """Written when a version is made: its own journals are read by every later one."""
    assert len([path for path in FILES if path.parent.name == installed_version()]) >= 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_journal_replays_to_its_end(path: Path) -> None:
    kept = msgspec.json.decode(path.read_bytes(), type=Golden)
    records = kept.journal()
    plans = [compile_document(document.encode()) for document in kept.plans]
    assert tuple(plan.digest for plan in plans) == plans_of(records)
    replayed = replay(plans[-1], records, {plan.digest: plan for plan in plans})
    last = decode(records[-1].body)
    assert replayed.run.finished == (last if isinstance(last, Finished) else None)
    assert all(encode(decode(record.body)) == record.body for record in records)


def test_every_kind_of_fact_stands_in_one_and_every_example_of_this_version() -> None:
    """What stands in none could change its form, and nobody would notice."""
    journals = [msgspec.json.decode(path.read_bytes(), type=Golden).journal() for path in FILES]
    events = [decode(record.body) for journal in journals for record in journal]
    assert {type(event) for event in events} == set(get_args(Event))
    reused = {event.reused.kind for event in events if isinstance(event, Returned) and event.reused}
    assert reused >= {"exact", "coalesced"}
    written = {path.name for path in FILES if path.parent.name == installed_version()}
    assert written >= {f"example-{path.parent.name}.json" for path in EXAMPLES.glob("*/flow.yaml")}


def test_a_set_is_never_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    version = FILES[0].parent.name
    before = {path: path.read_bytes() for path in FILES}
    assert main(version) == 1
    assert "never written again" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in FILES} == before
