"""Events to bytes and back: the one form in which facts are kept.

A body is a JSON object whose field `t` names the kind; fields at their default are left
out, so equal events give equal bytes. Must never know: where bytes are kept, or how
they are chained.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.state.events import Event

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)


class _Kind(msgspec.Struct):
    """The least a body must have."""

    t: str


_KIND: Final = msgspec.json.Decoder(_Kind)
_KINDS: Final = frozenset(
    str(info.tag)
    for info in msgspec.inspect.multi_type_info(Event.__args__)
    if isinstance(info, msgspec.inspect.StructType)
)


def encode(event: Event) -> bytes:
    """The body of a record of this event."""
    return _ENCODER.encode(event)


def decode(body: bytes) -> Event:
    """The event of a record's body.

    Raises `JournalMismatch` where the bytes are no fact at all, are a fact of a kind that
    this runtime does not know, or lack what their kind needs.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _mismatch(body, error) from error


def _mismatch(body: bytes, error: Exception) -> JournalMismatch:
    """Say whether the body is broken, or only newer than this runtime."""
    try:
        kind = _KIND.decode(body).t
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return JournalMismatch(
            f"a journal record of {len(body)} bytes is no fact: {error}",
            hint="the journal was damaged or changed; restore the store from a copy",
        )
    if kind not in _KINDS:
        return JournalMismatch(
            f"a journal record is of kind {kind!r}, which this runtime does not know",
            hint="it was written by a newer runtime; continue this execution with that version",
        )
    return JournalMismatch(
        f"a journal record of kind {kind!r} cannot be read: {error}",
        hint="it was changed, or written by a newer runtime; continue this execution with that version",
    )
