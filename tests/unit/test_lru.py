from __future__ import annotations

from stratarouter_runtime.lru import Lru


def test_what_was_longest_not_asked_for_goes_first() -> None:
    kept: Lru[str, int] = Lru(2)
    assert (kept.put("a", 1), kept.put("b", 2), kept.get("a")) == (1, 2, 1)
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_what_is_put_again_stays_with_its_new_value() -> None:
    kept: Lru[str, int] = Lru(2)
    for key, value in (("a", 1), ("b", 2), ("a", 4), ("c", 3)):
        kept.put(key, value)
    assert (kept.get("a"), kept.get("b")) == (4, None)
