"""The real clock and the real entropy: the only place that asks the machine for either.

Must never know: what the time and the randomness are for.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Final

from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Clock, Entropy

DRAWN: Final = 256
"""How many times 16 bytes are fetched from the kernel at once."""

_drawn: Final[deque[bytes]] = deque()
os.register_at_fork(after_in_child=_drawn.clear)  # or two processes would draw the same


class SystemClock(Clock):
    """The machine's clock. It may step back when the machine's time is corrected."""

    @override
    def now(self) -> int:
        return time.time_ns() // 1_000


class SystemEntropy(Entropy):
    """The kernel's randomness, fetched in advance.

    Every call of the kernel for it lets another thread have the interpreter, which takes many times as
    long as the bytes.
    """

    @override
    def execution_id(self) -> ExecutionId:
        """A UUID of version 7 (RFC 9562): ids drawn later sort later, to a quarter of a microsecond."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = rest * 4096 // 1_000_000
        high = milliseconds << 16 | 0x7000 | fraction
        low = int.from_bytes(_bytes()[:8], "big") >> 2 | 1 << 63
        return ExecutionId(f"exec_{high:016x}{low:016x}")

    @override
    def seed(self) -> str:
        return _bytes().hex()


def _bytes() -> bytes:
    """16 bytes that nobody else gets, in whatever thread."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            fetched = os.urandom(16 * DRAWN)
            _drawn.extend(fetched[at : at + 16] for at in range(0, len(fetched), 16))
