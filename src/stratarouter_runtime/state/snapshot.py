"""A run at rest to compact bytes, and back: what recovery reads instead of a long journal.

    body = snapshot(run, ledger, owed, reads)      after a decision, when all of it is durable
    restored = restore(plan, body)                 the same run, to be told the facts that follow

A snapshot is a shortcut and never a source: the journal alone is what happened, and proofs
read it from the start. Slots that nothing can read any more are left out, and so is the
input. Must never know: where snapshots are kept, or when they are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from blake3 import blake3

from stratarouter_runtime.state.snapshot_form import FORMAT, Head, RunForm
from stratarouter_runtime.state.snapshot_reading import Restored, read
from stratarouter_runtime.state.snapshot_writing import write

if TYPE_CHECKING:
    from stratarouter_runtime.state.ledger import Ledger
    from stratarouter_runtime.state.liveness import Reads
    from stratarouter_runtime.state.outstanding import Outstanding
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Plan

__all__ = ["Restored", "Unusable", "restore", "snapshot"]

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(RunForm)
_CHECKSUM: Final = 16
"""Bytes in front of the form."""
_HEAD: Final = msgspec.msgpack.Decoder(Head)


class Unusable(Exception):
    """A snapshot that says nothing of this run: of another format or plan, or damaged."""


def snapshot(run: Run, ledger: Ledger, owed: Outstanding, reads: Reads) -> bytes:
    """The run, as it stands after a decision and before its end; `reads` are those of its plan."""
    return sealed(_ENCODER.encode(write(run, ledger, owed, reads)))


def sealed(form: bytes) -> bytes:
    """An encoded form behind its checksum: a bit that was turned would go on as if it had happened."""
    return blake3(form).digest(length=_CHECKSUM) + form


def restore(plan: Plan, body: bytes) -> Restored:
    """The run of a snapshot. Raises `Unusable`."""
    form = _decoded(body)
    if form.plan != plan.digest:
        raise Unusable(f"it is of plan {form.plan[:12]}…, this is plan {plan.digest[:12]}…")
    try:
        return read(plan, form)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise Unusable(f"it does not fit its plan: {type(error).__name__}: {error}") from error


def _decoded(body: bytes) -> RunForm:
    form = body[_CHECKSUM:]
    if sealed(form) != body:
        raise Unusable("it is not what was written")
    try:
        version = _HEAD.decode(form).format
        if version == FORMAT:
            return _DECODER.decode(form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"it cannot be read: {error}") from error
    raise Unusable(f"it is of format {version}, this runtime reads {FORMAT}")
