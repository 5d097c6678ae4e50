"""Which slots of a run may still be read: the others need not be kept in a snapshot.

What an op and all below it read is worked out once a plan; which ops may still run follows
from the active frames. Slots are taken by their place in the plan, whatever the round:
more may stay than is needed, never less. Must never know: how a run is written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.state.leaves import Flight
from stratarouter_runtime.state.operators import Rounds
from stratarouter_runtime.tcfp.plan import NONE, Code, Loop, Map, Op, Pick

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Frame

Slots: TypeAlias = frozenset[tuple[int, int]]
"""(depth, index) of each."""

_NOTHING: Final[Slots] = frozenset()


class Reads(Struct, frozen=True):
    """What the ops of a plan read, by their index.

    `own` is an op's code alone, `whole` with all below it, `after` what follows it in its
    block, `back` its handlers and its undo.
    """

    own: Sequence[Slots]
    whole: Sequence[Slots]
    after: Sequence[Slots]
    back: Sequence[Slots]


def reads_of(ops: Sequence[Op]) -> Reads:
    """What each op may read; what stands below an op, or follows it, has a higher index."""
    size = len(ops)
    own = [_NOTHING.union(*(code.reads for code in _codes(op))) for op in ops]
    whole, after = list(own), [_NOTHING] * size
    for op in reversed(ops):
        if op.next != NONE:
            after[op.index] = whole[op.next] | after[op.next]
        if op.parent != NONE:
            whole[op.parent] |= whole[op.index]
    back = [_NOTHING.union(*(whole[index] for index in _backwards(op))) for op in ops]
    return Reads(own, whole, after, back)


def needed(frames: Sequence[Frame], reads: Reads) -> Slots:
    """The slots that what is active, or may be begun from there, can read."""
    return _NOTHING.union(*(slots for frame in frames for slots in _needs(frame, reads)))


def _needs(frame: Frame, reads: Reads) -> Iterator[Slots]:
    op = frame.op
    yield reads.after[op.index]
    yield reads.back[op.index]
    for undo in (*frame.undos, *frame.kept, frame.undoing):
        if undo is not None:
            yield reads.whole[undo.op]
    if op.retry is not None and frame.attempt <= op.retry.max:
        yield reads.whole[op.index]
    match op.does:
        case Map(body=body) if isinstance(frame.memory, Rounds) and frame.memory.opened < len(
            frame.memory.items
        ):
            yield reads.whole[body]
        case Loop():
            yield reads.whole[op.index]
        case _ if not isinstance(frame.memory, Flight):  # a call keeps its input for all attempts
            yield reads.own[op.index]
        case _:
            pass


def _codes(op: Op) -> Iterator[Code]:
    """Every code of an op itself."""
    if op.guard is not None:
        yield op.guard
    for name in op.does.__struct_fields__:
        part = getattr(op.does, name)
        if isinstance(part, Code):
            yield part
        elif isinstance(part, tuple):
            yield from (each.when for each in part if isinstance(each, Pick))


def _backwards(op: Op) -> Iterator[int]:
    yield from (handler.op for handler in op.catch)
    if op.undo != NONE:
        yield op.undo
