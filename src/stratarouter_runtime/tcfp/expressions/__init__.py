"""TCFP-E: expressions that are pure, typed and bounded, compiled to code objects.

The way of an expression: `parser` (text to tree), `checker` (tree and scope to a typed
tree, reporting mistakes), `codegen` (typed tree to one Python code object), `library`
(what that code calls). Must never know steps, plans beyond `Code`, or runs.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.expressions.compiling import compile_value, narrowing, narrowing_to, value_type
from stratarouter_runtime.tcfp.expressions.lexer import SyntaxProblem
from stratarouter_runtime.tcfp.expressions.library import ExpressionFailed
from stratarouter_runtime.tcfp.expressions.parser import parse
from stratarouter_runtime.tcfp.expressions.scope import NO_FACTS, Binding, Facts, Scope

__all__ = [
    "NO_FACTS",
    "Binding",
    "ExpressionFailed",
    "Facts",
    "Scope",
    "SyntaxProblem",
    "compile_value",
    "narrowing",
    "narrowing_to",
    "parse",
    "value_type",
]
