"""The client for a thread: every method waits for its answer.

It mirrors `asynchronous` line by line, so that each has plain signatures of its own for editors and type
checkers; a test compares them. Must never know: what is said; that stands in the conversations.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
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
        return self._hold(executions.execute(workflow, given, options, key or connection.new_key()))

    def query(self, workflow: str, given: object = None, **options: Any) -> Execution:
        """Have a workflow without effects answer, from what is known already where it allows that.

        It carries no key, since a key stands for an execution of its own: a request whose answer is
        lost is sent again, and may be executed twice.
        """
        return self._hold(executions.query(workflow, given, options))

    def start(
        self, workflow: str, given: object = None, *, key: str | None = None, **options: Any
    ) -> Execution:
        """Begin an execution; returns when its start is durable."""
        own = {**options, "mode": "async"}
        return self._hold(executions.begin(workflow, given, own, key or connection.new_key(), 0))

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
        return self._follow(Following(execution, after))

    def changes(self) -> Iterator[ChangeEvent]:
        """Executions of the tenant that begin, stand still or end, as it happens, without end."""
        return self._follow(Listening())

    def _follow(self, following: Stream[T]) -> Iterator[T]:
        while not following.ended:
            try:
                yield from self._stream(following)
            except httpx2.TransportError as error:
                time.sleep(following.broken(connection.lost(error)))

    def _stream(self, following: Stream[T]) -> Iterator[T]:
        with self._http.stream(**connection.stream(following.call())) as response:
            if response.is_error:
                response.read()
                time.sleep(following.refused(connection.heard(response)))
                return
            for event in httpx2.EventSource(response):
                told = following.heard(event.id, event.event, event.data)
                if told is not None:
                    yield told
            time.sleep(following.finish())

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
        self,
        execution: str,
        *,
        step: str | None = None,
        given: Any = UNSET,
        output: Any = UNSET,
        budget: dict[str, Any] | None = None,
    ) -> Execution:
        """Begin anew from what it did, with another input, or from a step with another output."""
        return self._hold(executions.fork(execution, step, given, output, budget))

    def replay(self, execution: str) -> ProofAnswer:
        """Whether every decision of it comes out again."""
        return self._hold(executions.replay(execution))

    def difference(self, left: str, right: str) -> DifferenceAnswer:
        """The steps that came to something else in one than in the other."""
        return self._hold(executions.difference(left, right))

    def migrate(self, execution: str) -> Execution:
        """Let it go on with the version of its workflow that is deployed now."""
        return self._hold(executions.control(execution, "migrate"))

    def feedback(self, execution: str, **said: Any) -> FeedbackAnswer:
        """Say whether its `route`, `answer` or `reuse` was right, with a `comment`."""
        return self._hold(resources.feedback(execution, said))

    def submit(
        self, items: Iterable[tuple[str, object]], *, key: str | None = None, **options: Any
    ) -> BatchAnswer:
        """Submit many executions, each a workflow and its input; returns when the batch is durable."""
        return self._hold(batches.submit(items, options, key or connection.new_key()))

    def batch(self, batch: str) -> BatchAnswer:
        """A batch as it stands: what became of each item, in its order."""
        return self._hold(batches.read(batch))

    def progress(self, batch: str, *, every: float = 1.0) -> Iterator[BatchAnswer]:
        """A batch again and again, after at most so many seconds each, until it has ended."""
        ended = False
        while not ended:
            found = self._hold(batches.read(batch, every))
            ended = found.ended
            yield found

    def wait_batch(self, batch: str) -> BatchAnswer:
        """The batch once nothing more happens to it."""
        return self._hold(batches.ended(batch))

    def cancel_batch(self, batch: str) -> BatchAnswer:
        """Begin no more of its items, and cancel those under way."""
        return self._hold(batches.cancel(batch))

    def executions(
        self, *, workflow: str | None = None, status: Iterable[str] = ()
    ) -> Iterator[ExecutionSummary]:
        """Executions, newest first; pages are fetched as they are needed."""
        return self._items(lists.executions(workflow, status))

    def workflows(self) -> Iterator[WorkflowSummary]:
        """What is deployed, by name."""
        return self._items(lists.workflows())

    def validate(self, source: str, *, media: str = YAML) -> ValidationAnswer:
        """Every mistake of a flow; nothing is kept."""
        return self._hold(workflows.validate(source, media))

    def retire(self, workflow: str) -> None:
        """Have a workflow executed no more."""
        self._hold(workflows.retire(workflow))

    def agents(self) -> Iterator[AgentSummary]:
        """Agents that flows can call, by name."""
        return self._items(lists.agents())

    def agent(self, name: str) -> AgentAnswer:
        """The version of an agent in force."""
        return self._hold(resources.agent(name))

    def register(self, name: str, source: str, *, media: str = YAML) -> AgentAnswer:
        """Make this document the version of an agent in force."""
        return self._hold(resources.register(name, source, media))

    def remove_agent(self, name: str) -> None:
        """Let no flow be linked to it any more."""
        self._hold(resources.remove_agent(name))

    def decide(self, query: str, **asked: Any) -> Decision:
        """For whom a query is, and why; `table`, `labels` and `input` as docs/api.md has them."""
        return self._hold(resources.decide(query, asked))

    def rules(self) -> RulesAnswer:
        """The routing rules in force."""
        return self._hold(resources.rules())

    def put_rules(self, *rules: Mapping[str, Any]) -> RulesAnswer:
        """Add rules, or replace those of the same names; all there are."""
        return self._hold(resources.put_rules(rules))

    def remove_rules(self, *names: str) -> RulesAnswer:
        """Take these rules away, or all; what is left."""
        return self._hold(resources.remove_rules(names))

    def cache_stats(self) -> CacheStats:
        """What is kept for reuse, and what became of it."""
        return self._hold(resources.cache_stats())

    def invalidate(self, workflow: str, **which: str) -> Invalidated:
        """Forget answers of a workflow: all, or by `tag`, `older_than_seconds`; `dry_run` only counts."""
        return self._hold(resources.invalidate(workflow, which))

    def usage(self) -> UsageAnswer:
        """Limits used and left, and what executions came to."""
        return self._hold(resources.usage())

    def usage_of(self, workflow: str) -> WorkflowUsage:
        """What the executions of one workflow came to."""
        return self._hold(resources.usage_of(workflow))

    def status(self) -> StatusAnswer:
        """What runs there, and figures of each part."""
        return self._hold(resources.status())

    def deploy(self, workflow: str, source: str, *, media: str = YAML) -> WorkflowAnswer:
        """Make the text of a flow the version that new executions run."""
        return self._hold(workflows.deploy(workflow, source, media))

    def workflow(self, workflow: str) -> WorkflowAnswer:
        """The version of a workflow that runs now."""
        return self._hold(workflows.workflow(workflow))

    def health(self) -> HealthAnswer:
        """Whether the server does its work."""
        return self._hold(workflows.health())

    def _items(self, pages: lists.Pages[T]) -> Iterator[T]:
        while not pages.ended:
            yield from self._hold(pages.following())

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
