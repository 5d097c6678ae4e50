"""What tokens cost: as declared, or as public lists say (genai-prices, in the extra `[llm]`).

The lists are read when a model without a declared price is first called. Must never know: who asks.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from msgspec import Struct


class Price(Struct, frozen=True):
    """US dollars for a million tokens."""

    input: float
    output: float


class Tokens(Struct, frozen=True):
    """What a call took."""

    input: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.input + other.input, self.output + other.output)


def declared(price: Price, tokens: Tokens) -> float:
    """US dollars."""
    return (price.input * tokens.input + price.output * tokens.output) / 1e6


async def listed(model: str, url: str, tokens: Tokens, now: int) -> float | None:
    """US dollars at `now`, µs since the epoch, by whoever serves `url`; None where no list names the model."""
    return await asyncio.to_thread(_listed, model, url, tokens, now)


def _listed(model: str, url: str, tokens: Tokens, now: int) -> float | None:
    try:
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - start-up cost, and an extra
    except ImportError:
        return None
    usage = Usage(input_tokens=tokens.input, output_tokens=tokens.output)
    at = datetime.fromtimestamp(now / 1e6, UTC)
    for provider in (url, None):
        try:
            priced = calc_price(usage, model, provider_api_url=provider, genai_request_timestamp=at)
            return float(priced.total_price)
        except LookupError:
            continue
    return None
