"""The client for a thread: every method waits for its answer.

Must never know: what is said; that stands in the conversations.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Self, TypeVar

import httpx2
from msgspec import UNSET

from stratarouter_runtime.api.models import DifferenceAnswer, HealthAnswer, ProofAnswer, WorkflowAnswer
from stratarouter_runtime.client import connection, executions, workflows
from stratarouter_runtime.client.answers import Execution, Fact
from stratarouter_runtime.client.following import Following
from stratarouter_runtime.client.talk import Call, Heard, Lost, Pause, Talk

T = TypeVar("T")


class Client:
    """Speaks to the server at `url`, with an API `key` where it wants one. May be shared by threads.

    Every method raises `Refused` for what the server refuses and `Unreachable` where no answer comes.
    """

    def __init__(
        self, url: str, *, key: str | None = None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._http = httpx2.Client(base_url=url, headers=connection.headers(key), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def execute(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Execute a workflow, and wait until it has ended or waits for somebody.

        The same `key` always means the same execution; `options` are those of docs/api.md.
        """
        return self._hold(executions.execute(workflow, given or {}, options, key or connection.new_key()))

    def start(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Begin an execution; returns when its start is durable."""
        own = {**options, "mode": "async"}
        return self._hold(executions.begin(workflow, given or {}, own, key or connection.new_key(), 0))

    def execution(self, execution: str) -> Execution:
        """An execution with its steps."""
        return self._hold(executions.read(execution))

    def wait(self, execution: str) -> Execution:
        """The execution once it has ended, or only somebody outside can move it on."""
        return self._hold(executions.settled(execution))

    def events(self, execution: str, *, after: int = -1) -> Iterator[Fact]:
        """Its facts behind number `after`, as they become durable, to its end.

        A stream that breaks is taken up behind the last fact seen.
        """
        following = Following(execution, after)
        while not following.ended:
            try:
                yield from self._stream(following)
            except httpx2.TransportError as error:
                time.sleep(following.broken(connection.lost(error)))

    def _stream(self, following: Following) -> Iterator[Fact]:
        with self._http.stream(**connection.stream(following.call())) as response:
            if response.is_error:
                response.read()
                time.sleep(following.refused(connection.heard(response)))
                return
            for event in httpx2.EventSource(response):
                yield following.heard(event.id, event.event, event.data)
            following.finish()

    def answer(self, execution: str, step: str, value: Any, *, by: str = "") -> Execution:
        """Answer what a step asks for."""
        return self._hold(executions.control(execution, "answer", {"step": step, "value": value, "by": by}))

    def cancel(self, execution: str, *, reason: str = "", by: str = "") -> Execution:
        """Have it end, undoing what it completed."""
        return self._hold(executions.control(execution, "cancel", {"reason": reason, "by": by}))

    def pause(self, execution: str) -> Execution:
        """Stop it until it is resumed."""
        return self._hold(executions.control(execution, "pause"))

    def resume(self, execution: str) -> Execution:
        """Set it to work again."""
        return self._hold(executions.control(execution, "resume"))

    def fork(
        self, execution: str, *, step: str | None = None, given: Any = UNSET, output: Any = UNSET
    ) -> Execution:
        """Begin anew from what it did, with another input, or from a step with another output."""
        return self._hold(executions.fork(execution, step, given, output))

    def replay(self, execution: str) -> ProofAnswer:
        """Whether every decision of it comes out again."""
        return self._hold(executions.replay(execution))

    def difference(self, left: str, right: str) -> DifferenceAnswer:
        """The steps that came to something else in one than in the other."""
        return self._hold(executions.difference(left, right))

    def deploy(self, workflow: str, source: str, *, media: str = workflows.YAML) -> WorkflowAnswer:
        """Make the text of a flow the version that new executions run."""
        return self._hold(workflows.deploy(workflow, source, media))

    def workflow(self, workflow: str) -> WorkflowAnswer:
        """The version of a workflow that runs now."""
        return self._hold(workflows.workflow(workflow))

    def health(self) -> HealthAnswer:
        """Whether the server does its work."""
        return self._hold(workflows.health())

    def _hold(self, talk: Talk[T]) -> T:
        """Hold a conversation to its end."""
        said: Heard | Lost | None = None
        try:
            while True:
                step = talk.send(said)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    said = None
                else:
                    said = self._send(step)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, call: Call) -> Heard | Lost:
        try:
            return connection.heard(self._http.request(**connection.arguments(call)))
        except httpx2.TransportError as error:
            return connection.lost(error)
