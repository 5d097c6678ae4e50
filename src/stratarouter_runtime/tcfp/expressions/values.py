"""Values of a flow to code: the one entry for whoever checks a flow.

Must never know steps or plans beyond `Code`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.tcfp.expressions.scope import NO_FACTS, Facts, Scope
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import UNKNOWN

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp import ir
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics
    from stratarouter_runtime.tcfp.types import Type


def compile_value(
    value: ir.Value, scope: Scope, diagnostics: Diagnostics, expected: Type | None = None
) -> Code:
    """The value as one code object, with its type.

    Mistakes go to `diagnostics` and give a code of unknown type. `expected` is what the
    place wants: it only helps written literals (a mapping written where a map is wanted
    is a map); whether the type fits is the caller's to check.
    """
    return Code("", UNKNOWN, lambda _: None)


def narrowing(value: ir.Value, scope: Scope) -> tuple[Facts, Facts]:
    """What is known of the names in scope when `value` is true, and when it is false."""
    return NO_FACTS, NO_FACTS


def narrowing_to(value: ir.Value, label: str | bool | None, scope: Scope) -> Facts:
    """What is known of the names in scope when `value` equals `label`: for the arm of a match."""
    return NO_FACTS
