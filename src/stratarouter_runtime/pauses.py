"""How long to wait before looking, or trying, again.

Must never know: what is waited for, or how waiting is done.
"""

from __future__ import annotations

from collections.abc import Iterator


def growing(first: float, longest: float, factor: float = 2.0) -> Iterator[float]:
    """Seconds to pause, each time longer by `factor` up to the `longest`, without end."""
    pause = first
    while True:
        yield pause
        pause = min(factor * pause, longest)
