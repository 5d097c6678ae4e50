"""The client for asyncio: every method is awaited.

It mirrors `synchronous` line by line; the reason stands there. Must never know: what is said; that stands in the conversations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeVar

import httpx2
from msgspec import UNSET

from stratarouter_runtime.api.agent_models import AgentAnswer, AgentSummary
from stratarouter_runtime.api.batch_models import BatchAnswer
from stratarouter_runtime.api.cache_models import CacheStats, Invalidated
from stratarouter_runtime.api.models import (
    ChangeEvent,
    DifferenceAnswer,
    ExecutionSummary,
    HealthAnswer,
    ProofAnswer,
    StatusAnswer,
    ValidationAnswer,
    WorkflowAnswer,
    WorkflowSummary,
)
from stratarouter_runtime.api.routing_models import FeedbackAnswer, RulesAnswer
from stratarouter_runtime.api.usage_models import UsageAnswer, WorkflowUsage
from stratarouter_runtime.client import batches, connection, executions, lists, resources, workflows
from stratarouter_runtime.client.answers import Execution, Fact
from stratarouter_runtime.client.following import Following, Listening, Stream
from stratarouter_runtime.client.talk import Call, Heard, Lost, Pause, Talk
from stratarouter_runtime.client.workflows import YAML
from stratarouter_runtime.routing.explained import Decision

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
        return await self._hold(executions.execute(workflow, given, options, key or connection.new_key()))

    async def query(self, workflow: str, given: object = None, **options: Any) -> Execution:
        """Have a workflow without effects answer, from what is known already where it allows that.

        It carries no key, since a key stands for an execution of its own: a request whose answer is
        lost is sent again, and may be executed twice.
        """
        return await self._hold(executions.query(workflow, given, options))

    async def start(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Begin an execution; returns when its start is durable."""
        own = {**options, "mode": "async"}
        return await self._hold(executions.begin(workflow, given, own, key or connection.new_key(), 0))

    async def execution(self, execution: str) -> Execution:
        """An execution with its steps."""
        return await self._hold(executions.read(execution))

    async def wait(self, execution: str) -> Execution:
        """The execution once it has ended, or only somebody outside can move it on."""
        return await self._hold(executions.settled(execution))

    def events(self, execution: str, *, after: int = -1) -> AsyncIterator[Fact]:
        """Its facts behind number `after`, as they become durable, to its end.

        A stream that breaks is taken up behind the last fact seen.
        """
        return self._follow(Following(execution, after))

    def changes(self) -> AsyncIterator[ChangeEvent]:
        """Executions of the tenant that begin, stand still or end, as it happens, without end."""
        return self._follow(Listening())

    async def _follow(self, following: Stream[T]) -> AsyncIterator[T]:
        while not following.ended:
            try:
                async for fact in self._stream(following):
                    yield fact
            except httpx2.TransportError as error:
                await asyncio.sleep(following.broken(connection.lost(error)))

    async def _stream(self, following: Stream[T]) -> AsyncIterator[T]:
        async with self._http.stream(**connection.stream(following.call())) as response:
            if response.is_error:
                await response.aread()
                await asyncio.sleep(following.refused(connection.heard(response)))
                return
            async for event in httpx2.EventSource(response):
                told = following.heard(event.id, event.event, event.data)
                if told is not None:
                    yield told
            await asyncio.sleep(following.finish())

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
        self,
        execution: str,
        *,
        step: str | None = None,
        given: Any = UNSET,
        output: Any = UNSET,
        budget: dict[str, Any] | None = None,
    ) -> Execution:
        """Begin anew from what it did, with another input, or from a step with another output."""
        return await self._hold(executions.fork(execution, step, given, output, budget))

    async def replay(self, execution: str) -> ProofAnswer:
        """Whether every decision of it comes out again."""
        return await self._hold(executions.replay(execution))

    async def difference(self, left: str, right: str) -> DifferenceAnswer:
        """The steps that came to something else in one than in the other."""
        return await self._hold(executions.difference(left, right))

    async def migrate(self, execution: str) -> Execution:
        """Let it go on with the version of its workflow that is deployed now."""
        return await self._hold(executions.control(execution, "migrate"))

    async def feedback(self, execution: str, **said: Any) -> FeedbackAnswer:
        """Say whether its `route`, `answer` or `reuse` was right, with a `comment`."""
        return await self._hold(resources.feedback(execution, said))

    async def submit(
        self, items: Iterable[tuple[str, object]], *, key: str | None = None, **options: Any
    ) -> BatchAnswer:
        """Submit many executions, each a workflow and its input; returns when the batch is durable."""
        return await self._hold(batches.submit(items, options, key or connection.new_key()))

    async def batch(self, batch: str) -> BatchAnswer:
        """A batch as it stands: what became of each item, in its order."""
        return await self._hold(batches.read(batch))

    async def progress(self, batch: str, *, every: float = 1.0) -> AsyncIterator[BatchAnswer]:
        """A batch again and again, after at most so many seconds each, until it has ended."""
        ended = False
        while not ended:
            found = await self._hold(batches.read(batch, every))
            ended = found.ended
            yield found

    async def wait_batch(self, batch: str) -> BatchAnswer:
        """The batch once nothing more happens to it."""
        return await self._hold(batches.ended(batch))

    async def cancel_batch(self, batch: str) -> BatchAnswer:
        """Begin no more of its items, and cancel those under way."""
        return await self._hold(batches.cancel(batch))

    def executions(
        self, *, workflow: str | None = None, status: Iterable[str] = ()
    ) -> AsyncIterator[ExecutionSummary]:
        """Executions, newest first; pages are fetched as they are needed."""
        return self._items(lists.executions(workflow, status))

    def workflows(self) -> AsyncIterator[WorkflowSummary]:
        """What is deployed, by name."""
        return self._items(lists.workflows())

    async def validate(self, source: str, *, media: str = YAML) -> ValidationAnswer:
        """Every mistake of a flow; nothing is kept."""
        return await self._hold(workflows.validate(source, media))

    async def retire(self, workflow: str) -> None:
        """Have a workflow executed no more."""
        await self._hold(workflows.retire(workflow))

    def agents(self) -> AsyncIterator[AgentSummary]:
        """Agents that flows can call, by name."""
        return self._items(lists.agents())

    async def agent(self, name: str) -> AgentAnswer:
        """The version of an agent in force."""
        return await self._hold(resources.agent(name))

    async def register(self, name: str, source: str, *, media: str = YAML) -> AgentAnswer:
        """Make this document the version of an agent in force."""
        return await self._hold(resources.register(name, source, media))

    async def remove_agent(self, name: str) -> None:
        """Let no flow be linked to it any more."""
        await self._hold(resources.remove_agent(name))

    async def decide(self, query: str, **asked: Any) -> Decision:
        """For whom a query is, and why; `table`, `labels` and `input` as docs/api.md has them."""
        return await self._hold(resources.decide(query, asked))

    async def rules(self) -> RulesAnswer:
        """The routing rules in force."""
        return await self._hold(resources.rules())

    async def put_rules(self, *rules: Mapping[str, Any]) -> RulesAnswer:
        """Add rules, or replace those of the same names; all there are."""
        return await self._hold(resources.put_rules(rules))

    async def remove_rules(self, *names: str) -> RulesAnswer:
        """Take these rules away, or all; what is left."""
        return await self._hold(resources.remove_rules(names))

    async def cache_stats(self) -> CacheStats:
        """What is kept for reuse, and what became of it."""
        return await self._hold(resources.cache_stats())

    async def invalidate(self, workflow: str, **which: str) -> Invalidated:
        """Forget answers of a workflow: all, or by `tag`, `older_than_seconds`; `dry_run` only counts."""
        return await self._hold(resources.invalidate(workflow, which))

    async def usage(self) -> UsageAnswer:
        """Limits used and left, and what executions came to."""
        return await self._hold(resources.usage())

    async def usage_of(self, workflow: str) -> WorkflowUsage:
        """What the executions of one workflow came to."""
        return await self._hold(resources.usage_of(workflow))

    async def status(self) -> StatusAnswer:
        """What runs there, and figures of each part."""
        return await self._hold(resources.status())

    async def deploy(self, workflow: str, source: str, *, media: str = YAML) -> WorkflowAnswer:
        """Make the text of a flow the version that new executions run."""
        return await self._hold(workflows.deploy(workflow, source, media))

    async def workflow(self, workflow: str) -> WorkflowAnswer:
        """The version of a workflow that runs now."""
        return await self._hold(workflows.workflow(workflow))

    async def health(self) -> HealthAnswer:
        """Whether the server does its work."""
        return await self._hold(workflows.health())

    async def _items(self, pages: lists.Pages[T]) -> AsyncIterator[T]:
        while not pages.ended:
            for item in await self._hold(pages.following()):
                yield item

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
