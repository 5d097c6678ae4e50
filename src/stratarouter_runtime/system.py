"""The real clock and the real entropy: the only place that asks the machine for either.

Must never know: what the time and the randomness are for.
"""

from __future__ import annotations

import os
import time

from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Clock, Entropy


class SystemClock(Clock):
    """The machine's clock. It may step back when the machine's time is corrected."""

    @override
    def now(self) -> int:
        return time.time_ns() // 1_000


class SystemEntropy(Entropy):
    """The kernel's randomness."""

    @override
    def execution_id(self) -> ExecutionId:
        """A UUID of version 7 (RFC 9562): ids drawn later sort later, to a quarter of a microsecond."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = rest * 4096 // 1_000_000
        high = milliseconds << 16 | 0x7000 | fraction
        low = int.from_bytes(os.urandom(8), "big") >> 2 | 1 << 63
        return ExecutionId(f"exec_{high:016x}{low:016x}")

    @override
    def seed(self) -> str:
        return os.urandom(16).hex()
