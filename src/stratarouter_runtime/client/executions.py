"""Conversations about executions: begin, wait, control.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from stratarouter_runtime.api.models import DifferenceAnswer, ProofAnswer
from stratarouter_runtime.client.answers import Execution
from stratarouter_runtime.client.errors import Refused
from stratarouter_runtime.client.talk import JSON, Call, Talk, asked, fetched, problem_of

HOLD: Final = 30.0
"""Seconds that one request lets the server wait for an end."""

IN_FLIGHT: Final = 409
_EXECUTE: Final = "/api/v1/workflows/execute"
_EXECUTIONS: Final = "/api/v1/executions"


def posted(
    path: str, body: object, key: str | None = None, wait: float = 0.0, *, again: bool = False
) -> Call:
    """A request with a body in JSON. With a `key` it begins nothing twice, and may be sent `again`."""
    headers = {"content-type": JSON}
    if key is not None:
        headers["idempotency-key"] = key
    if wait:
        headers["prefer"] = f"wait={wait:.0f}"
    return Call("POST", path, msgspec.json.encode(body), headers, wait=wait, again=again or key is not None)


def begin(
    workflow: str, given: object, options: dict[str, Any], key: str, wait: float = HOLD
) -> Talk[Execution]:
    """Begin an execution, or find the one that this key has begun already."""
    call = posted(_EXECUTE, _wanted(workflow, given, options), key, wait)
    heard = yield from asked(call, expected=frozenset({IN_FLIGHT}))
    if heard.status != IN_FLIGHT:
        return msgspec.json.decode(heard.body, type=Execution)
    if "location" not in heard.headers:
        raise Refused(problem_of(heard))
    return (yield from fetched(Call("GET", heard.headers["location"]), Execution))


def _wanted(workflow: str, given: object, options: dict[str, Any]) -> dict[str, object]:
    """What is to be executed; without an input, on none of its fields."""
    return {"workflow_id": workflow, "input": {} if given is None else given, "options": options}


def execute(workflow: str, given: object, options: dict[str, Any], key: str) -> Talk[Execution]:
    """Begin an execution and wait until it has settled."""
    begun = yield from begin(workflow, given, options, key)
    return begun if begun.settled else (yield from settled(begun.execution_id))


def query(workflow: str, given: object, options: dict[str, Any]) -> Talk[Execution]:
    """Have a workflow without effects answer, from what is known already where it allows that."""
    call = posted(_EXECUTE, _wanted(workflow, given, options), wait=HOLD, again=True)
    found = yield from fetched(call, Execution)
    return found if found.settled else (yield from settled(found.execution_id))


def read(execution: str, wait: float = 0.0) -> Talk[Execution]:
    """An execution with its steps, after at most `wait` seconds of waiting for it to settle."""
    headers = {"prefer": f"wait={wait:.0f}"} if wait else {}
    call = Call("GET", f"{_EXECUTIONS}/{execution}", headers=headers, wait=wait)
    return (yield from fetched(call, Execution))


def settled(execution: str) -> Talk[Execution]:
    """The execution once it has ended, or only somebody outside can move it on."""
    while True:
        found = yield from read(execution, HOLD)
        if found.settled:
            return found


def control(execution: str, verb: str, body: dict[str, Any] | None = None) -> Talk[Execution]:
    """Cancel, pause, resume or answer; how the execution stands then."""
    return (yield from fetched(posted(f"{_EXECUTIONS}/{execution}/{verb}", body or {}), Execution))


def fork(
    execution: str, step: str | None, given: object, output: object, budget: dict[str, Any] | None = None
) -> Talk[Execution]:
    """Begin an execution that takes over the facts of this one as far as they hold."""
    named = (("step", step), ("budget", budget))
    body: dict[str, Any] = {name: value for name, value in named if value is not None}
    # An input or an output may well be null: what is not said is UNSET.
    body |= {name: value for name, value in (("input", given), ("output", output)) if value is not UNSET}
    return (yield from control(execution, "fork", body))


def replay(execution: str) -> Talk[ProofAnswer]:
    """Whether every decision comes out again."""
    return (yield from fetched(Call("POST", f"{_EXECUTIONS}/{execution}/replay"), ProofAnswer))


def difference(left: str, right: str) -> Talk[DifferenceAnswer]:
    """The steps that came to something else in one than in the other."""
    return (yield from fetched(Call("GET", f"{_EXECUTIONS}/{left}/difference/{right}"), DifferenceAnswer))


def events(path: str, after: str) -> Call:
    """The stream of events at a path, behind the one of this id; from the start where it is empty."""
    headers = {"accept": "text/event-stream"}
    if after:
        headers["last-event-id"] = after
    return Call("GET", path, headers=headers)
