"""So many strikes at random moments, with clients at work: one run, and what came of it.

Must never know: what is asked, or what must be true.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same draws every time
from typing import Final

from msgspec import Struct

from stratarouter_runtime.testing.evidence import Violation
from stratarouter_runtime.testing.killing.clients import Client, History
from stratarouter_runtime.testing.killing.outside import Outside
from stratarouter_runtime.testing.killing.project import write_project
from stratarouter_runtime.testing.killing.servers import Serving
from stratarouter_runtime.testing.killing.strikes import Strike, killed
from stratarouter_runtime.testing.killing.verdict import Verdict, judge

LIVES: Final = 0.8
"""Seconds between strikes at most."""

WAIT: Final = 180.0
"""Seconds within which clients must be through, once nobody is killed any more."""


class Report(Struct, frozen=True):
    """What came of it. `starts` are the seconds from each start after a kill until it had taken up all.

    Whoever serves has read the journals of all that was unfinished by then, and set it to work.
    """

    seed: int
    kills: int
    servers: int
    executions: int
    facts: int
    calls: int
    acknowledged: int
    taken_up: int
    statuses: dict[str, int]
    starts: tuple[float, ...]
    wrong: str = ""


def kill_again_and_again(
    folder: Path,
    store: str,
    *,
    kills: int,
    seed: int,
    servers: int = 1,
    clients: int = 6,
    strike: Strike = killed,
) -> Report:
    """Serve from `folder`, an empty one, and strike: a file has one server, a database may have several."""
    chance = Random(seed)  # noqa: S311 - a simulation
    with Outside(seed) as outside:
        write_project(folder, outside.port)
        fleet = [
            Serving(folder, store, folder / f"log {number}", shared=servers > 1) for number in range(servers)
        ]
        try:
            return _run(fleet, outside, strike, chance, kills=kills, seed=seed, clients=clients)
        finally:
            for each in fleet:
                each.kill()


def _run(
    fleet: list[Serving],
    outside: Outside,
    strike: Strike,
    chance: Random,
    *,
    kills: int,
    seed: int,
    clients: int,
) -> Report:
    for each in fleet:
        each.begin()
    history, rest = History(), threading.Event()
    urls = [each.url for each in fleet]
    crowd = [
        Client(number, urls, history, Random(f"{seed} {number}"), rest)  # noqa: S311 - a simulation
        for number in range(clients)
    ]
    for client in crowd:
        client.start()
    for _ in range(kills):
        time.sleep(chance.random() * LIVES)
        strike(fleet[int(chance.random() * len(fleet))], chance)
    time.sleep(chance.random() * LIVES)
    rest.set()
    wrong = _let_them_end(crowd)
    for each in fleet:
        each.stop()
    verdict = Verdict(0, 0, {})
    try:
        if not wrong:
            verdict = judge(fleet[0].store, history, outside)
    except Violation as violation:
        wrong = str(violation)
    starts = [start for each in fleet for start in each.starts[1:]]
    return Report(
        seed=seed,
        kills=kills,
        servers=len(fleet),
        executions=verdict.executions,
        facts=verdict.facts,
        calls=len(outside.calls),
        acknowledged=len(history.accepted) + len(history.answers) + len(history.cancels),
        taken_up=sum(start.taken_up for start in starts),
        statuses=verdict.statuses,
        starts=tuple(start.seconds for start in starts),
        wrong=wrong,
    )


def _let_them_end(crowd: list[Client]) -> str:
    until = time.monotonic() + WAIT
    for client in crowd:
        client.join(max(0.0, until - time.monotonic()))
        if client.is_alive():
            return f"{client.name} is not through"
    return ""
