"""Flows whose answers may be reused, and differ between tenants: whatever crosses over is seen.

Must never know: how answers are kept or found.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.ids import LOCAL, Tenant

TENANTS: Final = (LOCAL, Tenant("first"), Tenant("second"))

QUOTE: Final = "quote"

AGENT: Final = f"""\
  {QUOTE}: {{in: {{n: int}}, out: {{n: int}}, effect: pure, stable: true, about: knows a price}}
"""
"""It answers `n` with `n + 1` and the `mark` of the tenant that asks."""

QUOTED: Final = f"""
stable: true
do:
  - id: p
    par:
      a: {{call: {QUOTE}, with: {{n: =n}}, retry: {{max: 2, wait: 5ms}}}}
      b: {{call: {QUOTE}, with: {{n: =n}}, time: 25ms, retry: {{max: 2, wait: 5ms}}}}
return: {{n: =p.a.n + p.b.n}}
"""

RESOLD: Final = f"""
do:
  - {{id: x, call: {QUOTE}, with: {{n: =n}}, time: 30ms, retry: {{max: 1}}}}
  - {{id: p, call: pay, with: {{n: =x.n}}}}
return: =p
"""


def mark(tenant: Tenant) -> int:
    """By how much the prices of a tenant differ from those of others."""
    return 1_000 * TENANTS.index(tenant)
