"""Values against types: the one door to checking, converting and showing values.

Projection itself is in `projection` and `scalars`, the forms a value takes outside of
expressions in `forms`. Must never know: flows, agents, or runs.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.forms import canonical_value, redact, to_json
from stratarouter_runtime.tcfp.projection import checker
from stratarouter_runtime.tcfp.scalars import MAX_DEPTH, Misfit, kind_of

__all__ = [
    "MAX_DEPTH",
    "Misfit",
    "canonical_value",
    "checker",
    "kind_of",
    "redact",
    "to_json",
]
