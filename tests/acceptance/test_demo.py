"""The demonstration: real processes, a real SIGKILL, and evidence that is looked at."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from tests.suites import data_path

from stratarouter_runtime.demo.counting import Note, Notebook, read_notes
from stratarouter_runtime.demo.evidence import Evidence, gather, recorded_steps
from stratarouter_runtime.demo.inbox import read_inbox
from stratarouter_runtime.demo.show import show
from stratarouter_runtime.demo.worker import Work
from stratarouter_runtime.ids import Digest

PROJECT = Path(__file__).parents[2] / "examples" / "triage"


def work(folder: Path, inbox: Path, limit: int | None = None) -> Work:
    return Work(
        flow=str(PROJECT / "flow.yaml"),
        inbox=str(inbox),
        store=str(folder / "strata.db"),
        notes=str(folder / "calls.txt"),
        seed="test",
        limit=limit,
        at_once=50,
    )


def watch(folder: Path, told: Work) -> Evidence:
    return asyncio.run(show(told, folder, lambda _: None))


def test_the_inbox_is_answered_with_nothing_lost_although_the_worker_is_killed(tmp_path: Path) -> None:
    found = watch(tmp_path, work(tmp_path, PROJECT / "inbox.jsonl"))
    assert found.sound, found
    assert (found.messages, found.completed, found.lost) == (200, 200, 0)
    assert found.repeated_recorded == 0
    assert found.routed == 200
    assert found.routed_right >= 0.8 * found.routed
    assert found.steps >= 200 * 4


def test_clinc150_is_an_inbox_as_it_is(tmp_path: Path) -> None:
    found = watch(tmp_path, work(tmp_path, data_path("clinc150") / "data_full.json", limit=300))
    assert found.sound, found
    assert (found.completed, found.reproducible) == (300, 300)


async def test_a_recorded_step_that_runs_again_would_be_seen(tmp_path: Path) -> None:
    told = work(tmp_path, PROJECT / "inbox.jsonl", limit=10)
    (tmp_path / "worker.log").touch()
    await show(told, tmp_path, lambda _: None)
    runs = Counter(note.key for note in read_notes(Path(told.notes)))
    once = next(key for key in await recorded_steps(Path(told.store)) if runs[key] == 1)
    notebook = Notebook(Path(told.notes))
    notebook.write(Note(once, 1))
    notebook.close()
    found = await gather(told, read_inbox(Path(told.inbox), limit=10), {}, {once}, 0.0)
    assert found.repeated_recorded == 1
    assert not found.sound


async def test_an_acknowledged_execution_that_is_gone_would_be_seen(tmp_path: Path) -> None:
    told = work(tmp_path, PROJECT / "inbox.jsonl", limit=4)
    await show(told, tmp_path, lambda _: None)
    messages = read_inbox(Path(told.inbox), limit=4)
    found = await gather(told, messages, {"exec_never": messages[0].id}, set[Digest](), 0.0)
    assert found.lost == 1
    assert not found.sound


@pytest.mark.parametrize(
    "line", ['{"text": "Where is my parcel?", "route": "delivery"}', '{"text": "hello"}']
)
def test_any_jsonl_is_an_inbox(tmp_path: Path, line: str) -> None:
    inbox = tmp_path / "mine.jsonl"
    inbox.write_text(line + "\n")
    found = watch(tmp_path, work(tmp_path, inbox))
    assert found.sound, found
    assert found.routed == ("route" in json.loads(line))
