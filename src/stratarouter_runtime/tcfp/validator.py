"""Flow as written -> all that is wrong with it, and a checked tree for the compiler.

Must never know a run, or how plans are laid out.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.registry import Registry
from stratarouter_runtime.tcfp.validation.flow import check_flow
from stratarouter_runtime.tcfp.validation.tree import Checked

__all__ = ["Checked", "validate"]


def validate(flow: ir.Flow, registry: Registry | None = None) -> Checked:
    """The flow, checked: every diagnostic, in the order of the text.

    Agents without a signature of their own take that of `registry`; where there is no
    registry their use is not checked, and a warning (W304) says so.
    """
    return check_flow(flow, registry)
