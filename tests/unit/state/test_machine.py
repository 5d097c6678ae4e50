from __future__ import annotations

from itertools import product

import pytest

from stratarouter_runtime.state.machine import TRANSITIONS, Happening, IllegalTransition, move
from stratarouter_runtime.state.run import Frame, Phase
from stratarouter_runtime.testing.plans import plan_of

R, U, B, H = Phase.RUNNING, Phase.UNWINDING, Phase.BACKOFF, Phase.HANDLING

# Written by hand: a test that reads the table could not miss a row that is missing there.
ALLOWED = {
    (R, "succeed"): Phase.DONE,
    (R, "win"): U,
    (R, "fail"): U,
    (R, "halt"): Phase.HALTED,
    (U, "succeed"): Phase.DONE,
    (U, "retry"): B,
    (U, "handle"): H,
    (U, "escape"): Phase.FAILED,
    (U, "halt"): Phase.HALTED,
    (B, "resume"): R,
    (B, "fail"): U,
    (B, "halt"): Phase.HALTED,
    (H, "succeed"): Phase.DONE,
    (H, "fail"): U,
    (H, "halt"): Phase.HALTED,
}


def frame_in(phase: Phase) -> Frame:
    plan = plan_of('{"tcfp": "1.0", "flow": "f", "in": {}, "out": "null", "do": [], "return": null}')
    frame = Frame(plan.ops[0], None, "flow", ([],), (), "", None)  # type: ignore[arg-type]  # a path is text
    frame.phase = phase
    return frame


@pytest.mark.parametrize(("phase", "happening"), list(product(Phase, Happening)))
def test_every_pair_leads_where_it_should_or_is_refused(phase: Phase, happening: Happening) -> None:
    frame = frame_in(phase)
    expected = ALLOWED.get((phase, happening.value))
    if expected is None:
        with pytest.raises(IllegalTransition, match=phase.value):
            move(frame, happening)
        assert frame.phase is phase
    else:
        move(frame, happening)
        assert frame.phase is expected


def test_the_table_has_no_row_beyond_those() -> None:
    assert len(TRANSITIONS) == len(ALLOWED)


@pytest.mark.parametrize("phase", [Phase.DONE, Phase.FAILED, Phase.HALTED])
def test_nothing_leaves_an_end(phase: Phase) -> None:
    assert not frame_in(phase).live
    assert not any(start is phase for start, _ in TRANSITIONS)
