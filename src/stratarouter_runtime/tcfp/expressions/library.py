"""What compiled expressions call."""

from __future__ import annotations


class ExpressionFailed(Exception):
    """An expression has no value: the step fails with `expression`. The message says why."""
