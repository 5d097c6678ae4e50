"""The client for asyncio: every method is awaited.

Must never know: what is said; that stands in the conversations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self, TypeVar

import httpx2
from msgspec import UNSET

from stratarouter_runtime.api.models import DifferenceAnswer, HealthAnswer, ProofAnswer, WorkflowAnswer
from stratarouter_runtime.client import connection, executions, workflows
from stratarouter_runtime.client.answers import Execution, Fact
from stratarouter_runtime.client.following import Following
from stratarouter_runtime.client.talk import Call, Heard, Lost, Pause, Talk

T = TypeVar("T")


class AsyncClient:
    """Speaks to the server at `url`, with an API `key` where it wants one. Belongs to one event loop.

    Every method raises `Refused` for what the server refuses and `Unreachable` where no answer comes.
    """

    def __init__(
        self, url: str, *, key: str | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=url, headers=connection.headers(key), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def execute(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Execute a workflow, and wait until it has ended or waits for somebody.

        The same `key` always means the same execution; `options` are those of docs/api.md.
        """
        return await self._hold(
            executions.execute(workflow, given or {}, options, key or connection.new_key())
        )

    async def start(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Begin an execution; returns when its start is durable."""
        own = {**options, "mode": "async"}
        return await self._hold(executions.begin(workflow, given or {}, own, key or connection.new_key(), 0))

    async def execution(self, execution: str) -> Execution:
        """An execution with its steps."""
        return await self._hold(executions.read(execution))

    async def wait(self, execution: str) -> Execution:
        """The execution once it has ended, or only somebody outside can move it on."""
        return await self._hold(executions.settled(execution))

    async def events(self, execution: str, *, after: int = -1) -> AsyncIterator[Fact]:
        """Its facts behind number `after`, as they become durable, to its end.

        A stream that breaks is taken up behind the last fact seen.
        """
        following = Following(execution, after)
        while not following.ended:
            try:
                async for fact in self._stream(following):
                    yield fact
            except httpx2.TransportError as error:
                await asyncio.sleep(following.broken(connection.lost(error)))

    async def _stream(self, following: Following) -> AsyncIterator[Fact]:
        async with self._http.stream(**connection.stream(following.call())) as response:
            if response.is_error:
                await response.aread()
                await asyncio.sleep(following.refused(connection.heard(response)))
                return
            async for event in httpx2.EventSource(response):
                yield following.heard(event.id, event.event, event.data)
            following.finish()

    async def answer(self, execution: str, step: str, value: Any, *, by: str = "") -> Execution:
        """Answer what a step asks for."""
        return await self._hold(
            executions.control(execution, "answer", {"step": step, "value": value, "by": by})
        )

    async def cancel(self, execution: str, *, reason: str = "", by: str = "") -> Execution:
        """Have it end, undoing what it completed."""
        return await self._hold(executions.control(execution, "cancel", {"reason": reason, "by": by}))

    async def pause(self, execution: str) -> Execution:
        """Stop it until it is resumed."""
        return await self._hold(executions.control(execution, "pause"))

    async def resume(self, execution: str) -> Execution:
        """Set it to work again."""
        return await self._hold(executions.control(execution, "resume"))

    async def fork(
        self, execution: str, *, step: str | None = None, given: Any = UNSET, output: Any = UNSET
    ) -> Execution:
        """Begin anew from what it did, with another input, or from a step with another output."""
        return await self._hold(executions.fork(execution, step, given, output))

    async def replay(self, execution: str) -> ProofAnswer:
        """Whether every decision of it comes out again."""
        return await self._hold(executions.replay(execution))

    async def difference(self, left: str, right: str) -> DifferenceAnswer:
        """The steps that came to something else in one than in the other."""
        return await self._hold(executions.difference(left, right))

    async def deploy(self, workflow: str, source: str, *, media: str = workflows.YAML) -> WorkflowAnswer:
        """Make the text of a flow the version that new executions run."""
        return await self._hold(workflows.deploy(workflow, source, media))

    async def workflow(self, workflow: str) -> WorkflowAnswer:
        """The version of a workflow that runs now."""
        return await self._hold(workflows.workflow(workflow))

    async def health(self) -> HealthAnswer:
        """Whether the server does its work."""
        return await self._hold(workflows.health())

    async def _hold(self, talk: Talk[T]) -> T:
        """Hold a conversation to its end."""
        said: Heard | Lost | None = None
        try:
            while True:
                step = talk.send(said)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    said = None
                else:
                    said = await self._send(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, call: Call) -> Heard | Lost:
        try:
            return connection.heard(await self._http.request(**connection.arguments(call)))
        except httpx2.TransportError as error:
            return connection.lost(error)
