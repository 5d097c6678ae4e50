from __future__ import annotations

from stratarouter_runtime.state.events import NO_USAGE, Usage


def test_what_two_calls_took_adds_up_and_their_memory_is_the_larger() -> None:
    first, second = Usage(0.5, 1, 2, 3.0, 4.0, 70), Usage(0.25, 10, 20, 30.0, 40.0, 60)
    assert first + second == Usage(0.75, 11, 22, 33.0, 44.0, 70)
    assert first + NO_USAGE == first
