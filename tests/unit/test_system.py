"""The real clock and entropy: shapes, order, and that they come from the machine."""

from __future__ import annotations

import os
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from stratarouter_runtime.system import DRAWN, SystemClock, SystemEntropy


def test_the_clock_tells_microseconds() -> None:
    before = time.time_ns() // 1_000
    assert before <= SystemClock().now() <= time.time_ns() // 1_000


def test_an_id_is_a_uuid_of_version_seven_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    drawn = SystemEntropy().execution_id()
    assert re.fullmatch(r"exec_[0-9a-f]{32}", drawn)
    parsed = uuid.UUID(drawn.removeprefix("exec_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_by_the_time_they_were_drawn() -> None:
    drawn = []
    for _ in range(20):
        drawn.append(SystemEntropy().execution_id())
        time.sleep(0.0001)
    assert drawn == sorted(drawn)


def test_nothing_is_drawn_twice() -> None:
    entropy = SystemEntropy()
    assert len({entropy.execution_id() for _ in range(10_000)}) == 10_000
    assert len({entropy.seed() for _ in range(10_000)}) == 10_000


def test_threads_draw_nothing_twice() -> None:
    entropy = SystemEntropy()
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: [entropy.seed() for _ in range(2 * DRAWN)], range(16)))
    assert len({seed for each in drawn for seed in each}) == 16 * 2 * DRAWN


def test_a_forked_process_draws_nothing_that_its_parent_draws() -> None:
    entropy = SystemEntropy()
    entropy.seed()
    end, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(told, "".join(entropy.seed() for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(end, 50 * 32).decode()
    for each in (end, told):
        os.close(each)
    ours = {entropy.seed() for _ in range(2 * DRAWN)}
    assert ours.isdisjoint(theirs[at : at + 32] for at in range(0, len(theirs), 32))


def test_a_seed_is_32_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", SystemEntropy().seed())
