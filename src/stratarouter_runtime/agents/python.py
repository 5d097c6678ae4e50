"""An agent that is a Python function of this process.

Whatever the function does becomes a reply: an output, or a failure without a traceback.
Must never know: where the function was found, flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any

import orjson
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.charges import charged
from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    MAX_OUTPUT,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    failed,
    too_large,
)
from stratarouter_runtime.agents.threads import NotBegun, Threads
from stratarouter_runtime.agents.together import divided, each
from stratarouter_runtime.builder.agents import AgentDefinition, AgentError, words_of
from stratarouter_runtime.builder.conversion import encode, unknown_to_json
from stratarouter_runtime.builder.usage import Meter
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Clock
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Batch, Cost
from stratarouter_runtime.tcfp.types import JSON
from stratarouter_runtime.tcfp.values import Misfit, checker


class PythonAgent(Agent):
    """Coroutine functions run on the event loop, plain ones on `threads`.

    A coroutine function that does not wait for anything costs no hand-over; one that computes
    for long holds up everything else, and should be a plain function. `max_output` is in bytes
    of JSON.
    """

    def __init__(
        self, definition: AgentDefinition, threads: Threads, clock: Clock, *, max_output: int = MAX_OUTPUT
    ) -> None:
        self._definition = definition
        self._threads = threads
        self._clock = clock
        self._max_output = max_output
        self.name = definition.name
        self.signature = definition.signature
        self.digest = agent_digest(definition.name, "python", definition.version, definition.signature)
        self._waits = definition.is_async

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        with Meter() as meter:
            reply = await self._reply(partial(self._definition.call_with, call.input), call.confirm)
        milliseconds = (self._clock.now() - started) / 1000
        usage = _usage(meter, self.signature.cost, milliseconds)
        return AgentReply(reply.output, reply.failure, usage)

    async def _reply(
        self, function: Callable[[], Any], confirm: Callable[[], Awaitable[None]] | None = None
    ) -> AgentReply:
        try:
            output = await (function() if self._waits else self._in_thread(function, confirm))
        except NotBegun as held:
            raise held.why from None
        except AgentError as error:
            return self._raised(error)
        except TimeoutError as error:
            return failed(TIMEOUT, f"{self.name} gave up waiting: {error}".removesuffix(": "))
        except asyncio.CancelledError:
            if _cancelled():
                raise
            return failed(UNAVAILABLE, f"{self.name} cancelled itself")
        except GeneratorExit:  # how Python ends a coroutine that nobody waits for any more
            raise
        # SystemExit and KeyboardInterrupt too: an agent must not end the runtime.
        except BaseException as error:  # noqa: BLE001 - whatever it raises is its failure
            return failed(UNAVAILABLE, f"{self.name} raised {words_of(error)}")
        return self._sized(output)

    def _sized(self, output: Any) -> AgentReply:
        size = _size(output)
        return (
            too_large(f"{size:,} bytes", self._max_output) if size > self._max_output else AgentReply(output)
        )

    async def _in_thread(
        self, function: Callable[[], Any], confirm: Callable[[], Awaitable[None]] | None
    ) -> Any:
        output = await self._threads.run(function, confirm)
        return await output if isawaitable(output) else output

    def _raised(self, error: AgentError) -> AgentReply:
        kind, message = error.kind, error.message
        if kind not in self.signature.errors and not kind.startswith("agent."):
            kind, message = REFUSED, f"{kind}, which its signature does not declare: {message}"
        try:
            data = checker(JSON).project(encode(error.data))
        except (Misfit, ValueError):
            return failed(kind, f"{message} (its data is no JSON)")
        return failed(kind, message, data)


class PythonGroup(PythonAgent):
    """A function that takes lists: several inputs in one call, an item each in what it returns."""

    def __init__(
        self,
        definition: AgentDefinition,
        batch: Batch,
        threads: Threads,
        clock: Clock,
        *,
        max_output: int = MAX_OUTPUT,
    ) -> None:
        super().__init__(definition, threads, clock, max_output=max_output)
        self.batch = batch

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        (reply,) = await self.call_together([call])
        return reply

    async def call_together(self, calls: Sequence[AgentCall]) -> Sequence[AgentReply]:
        """A reply each. Where the function raises, every input is tried by itself."""
        return await each(calls, self._together)

    async def _together(self, calls: Sequence[AgentCall]) -> list[AgentReply] | AgentReply:
        started = self._clock.now()
        with Meter() as meter:
            whole = await self._reply(
                partial(self._definition.call_together, [call.input for call in calls]), calls[0].confirm
            )
        milliseconds = (self._clock.now() - started) / 1000
        if whole.failure is not None:
            # What a call that broke is taken to have cost is what the calls made in its place will cost.
            spent = _usage(meter, Cost() if len(calls) > 1 else self.signature.cost, milliseconds)
            return replace(whole, usage=spent)
        usages = self._usages(meter, len(calls), milliseconds)
        if not isinstance(whole.output, list) or len(whole.output) != len(calls):
            said = f"{self.name} was given {len(calls)} inputs, and returned no list of as many"
            return [failed(INVALID_OUTPUT, said, usage=usage) for usage in usages]
        return [
            replace(self._one(item), usage=usage) for item, usage in zip(whole.output, usages, strict=True)
        ]

    def _usages(self, meter: Meter, parts: int, milliseconds: float) -> list[Usage]:
        """What was reported is divided; of what reports nothing each counts as what the agent declares."""
        if meter.reported:
            return divided(_usage(meter, self.signature.cost, milliseconds), parts)
        return [_usage(meter, self.signature.cost, milliseconds)] * parts

    @override
    def _sized(self, output: Any) -> AgentReply:
        return AgentReply(output)

    def _one(self, item: Any) -> AgentReply:
        return self._raised(item) if isinstance(item, AgentError) else super()._sized(item)


def _cancelled() -> bool:
    """Whether somebody wants this call to end, rather than the function having said so itself."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _usage(meter: Meter, cost: Cost, milliseconds: float) -> Usage:
    told = Usage(meter.usd, meter.tokens_in, meter.tokens_out, milliseconds)
    return charged(told, cost, reported=meter.reported)


def _size(output: Any) -> int:
    """Bytes of JSON; 0 for what is none, which the check against the signature will refuse."""
    try:
        return len(orjson.dumps(output, default=unknown_to_json))
    except TypeError:
        return 0
