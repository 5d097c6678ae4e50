"""What one call of a model took so far, and what is left of what it may take.

Must never know: how a model is asked, or which tools it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stratarouter_runtime.agents import prices
from stratarouter_runtime.agents.prices import Tokens
from stratarouter_runtime.state.events import Budget, Failure, Usage

if TYPE_CHECKING:
    from stratarouter_runtime.agents.models import Spec
    from stratarouter_runtime.tcfp.ir import Cost


class Spending:
    """The account of one call. `now` is when it began, µs since the epoch; `budget` is all that there is."""

    def __init__(self, spec: Spec, budget: Budget | None, now: int) -> None:
        self._spec = spec
        self._budget = budget
        self._now = now
        self._asked = False
        self._tokens: Tokens | None = None
        self._tools = Usage()

    def ask(self) -> None:
        """The model is asked."""
        self._asked = True

    def answered(self, tokens: Tokens | None) -> None:
        """It answered; None where nobody counts the tokens."""
        if tokens is not None:
            self._tokens = tokens + (self._tokens or Tokens())

    def used(self, usage: Usage) -> None:
        """A tool took this."""
        self._tools += usage

    async def usage(self, milliseconds: float) -> Usage:
        """What the call took; for what nobody counts or prices, the bound that is declared."""
        cost = self._spec.signature.cost if self._asked else None
        tokens = self._tokens or Tokens(0 if cost is None else cost.tokens)
        usd = await self._usd(cost)
        return replace(Usage(usd, tokens.input, tokens.output) + self._tools, ms=milliseconds)

    async def left(self) -> Budget | None:
        """What may still be taken; None where nothing bounds it."""
        if self._budget is None:
            return None
        usd, tokens = self._budget.usd, self._budget.tokens
        return Budget(
            None if usd is None else max(0.0, usd - await self._counted_usd()),
            None if tokens is None else max(0, tokens - self._counted_tokens()),
        )

    async def exhausted(self, then: str) -> Failure | None:
        """Why nothing more is asked of the model or its tools: what they took is all that there was."""
        budget, name = self._budget, self._spec.name
        if budget is None or not self._asked:
            return None
        tokens = self._counted_tokens()
        if budget.tokens is not None and tokens >= budget.tokens:
            return Failure("limit.tokens", f"{name} took {tokens} tokens, {budget.tokens} were left: {then}")
        if budget.usd is None:
            return None
        usd = await self._counted_usd()
        if usd >= budget.usd > 0:
            return Failure("limit.usd", f"{name} took {usd:g} usd, {budget.usd:g} were left: {then}")
        return None

    def _counted_tokens(self) -> int:
        tokens = self._tokens or Tokens()
        return tokens.input + tokens.output + self._tools.tokens_in + self._tools.tokens_out

    async def _counted_usd(self) -> float:
        return self._tools.usd + await self._usd(None)

    async def _usd(self, bound: Cost | None) -> float:
        """What the tokens that were counted cost; the bound, where nobody counts or prices them."""
        otherwise = 0.0 if bound is None else bound.usd
        if self._tokens is None:
            return otherwise
        if self._spec.price is not None:
            return prices.declared(self._spec.price, self._tokens)
        priced = await prices.listed(self._spec.model, self._spec.url, self._tokens, self._now)
        return otherwise if priced is None else priced
