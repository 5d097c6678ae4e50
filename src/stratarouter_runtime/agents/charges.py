"""What a call is taken to have cost, where the code of an agent says so or says nothing.

Must never know: where that code runs.
"""

from __future__ import annotations

from msgspec.structs import replace

from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.ir import Cost


def charged(usage: Usage, cost: Cost, *, reported: bool) -> Usage:
    """What was reported, be it nothing; else the bound that is declared, so that no limit is passed unseen."""
    return usage if reported else replace(usage, usd=cost.usd, tokens_in=cost.tokens, tokens_out=0)
