"""What held-out examples say of a fitted table.

Must never know: how a table is fitted.
"""

from __future__ import annotations

from msgspec import Struct


class Report(Struct, frozen=True, omit_defaults=True):
    """What held-out examples came to: how many, the share routed right, and what acceptance does to them.

    `accepted` is the share of all that was routed right and accepted, `refused` the share of the
    examples of "none" that was refused, on which acceptance itself was fitted.
    """

    queries: int = 0
    right: float = 0.0
    accepted: float = 0.0
    none: int = 0
    refused: float = 0.0
