"""JSON Schema 2020-12 and types, both ways.

A type says what the checker can decide; what a schema says beyond it is reported, so that
an agent can check it at run time. Must never know: values, agents, or how to validate.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.json_schema.reading import Mapped, from_schema
from stratarouter_runtime.tcfp.json_schema.writing import to_schema

__all__ = ["Mapped", "from_schema", "to_schema"]
