"""A kept answer as bytes and back, under a checksum: damage is found before anything is reused.

Must never know: where bytes are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.canonical import canonical

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Usage

LARGEST: Final = 1024 * 1024
"""Bytes of an output above which an answer is not kept."""

_CHECK: Final = 16
_CONTEXT: Final = "stratarouter cache entry 1.0"


class Answer(Struct, frozen=True, array_like=True):
    """An output as JSON, what it cost, and the texts it may be found by with their vectors.

    `vector` holds the vectors of `texts` one behind the other, as `ports.Embedder` gives them.
    """

    output: bytes
    texts: tuple[str, ...] = ()
    vector: bytes = b""
    usd: float = 0.0
    tokens: int = 0
    ms: float = 0.0


def encode_output(output: Any) -> bytes:
    """An output in its JSON form as bytes: equal outputs, equal bytes."""
    return canonical(output)


def answer_of(output: bytes, usage: Usage) -> Answer:
    """An answer that was worked out for this, not yet with texts by which it may be found."""
    return Answer(output, usd=usage.usd, tokens=usage.tokens_in + usage.tokens_out, ms=usage.ms)


class Damaged(ValueError):
    """The bytes are not those that were kept."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Answer)


def pack(answer: Answer) -> bytes:
    """The answer as bytes."""
    body = _ENCODER.encode(answer)
    return _sum(body) + body


def unpack(packed: bytes) -> Answer:
    """The answer of these bytes. Raises `Damaged`."""
    body = packed[_CHECK:]
    if packed[:_CHECK] != _sum(body):
        raise Damaged("the checksum of a kept answer is wrong")
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(str(error)) from error


def _sum(body: bytes) -> bytes:
    return blake3(body, derive_key_context=_CONTEXT).digest(_CHECK)
