"""What stands around every agent of a project: a circuit breaker, and no secret on its way out.

Must never know: of which kind the agent is.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents import exchanges
from stratarouter_runtime.agents.circuits import Circuits
from stratarouter_runtime.agents.exchanges import Exchange
from stratarouter_runtime.agents.failures import TIMEOUT, UNAVAILABLE, bounded, failed
from stratarouter_runtime.agents.registry import Closing
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.breaker import Policy
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Grouped, Isolation

TELLING: Final = frozenset({UNAVAILABLE, TIMEOUT})
"""The failures that say something about the agent, rather than about what it was asked."""

_SILENCE: Final = 1_000_000
"""Microseconds without an answer that say something of an agent which declares no time."""
_NEARLY: Final = 0.9
"""The share of its time with which an agent counts as having had it: calls wait before they are made."""


class Fenced(Agent):
    """An agent behind its fence. It is the same agent: name, signature and digest are its own."""

    def __init__(self, agent: Agent, workshop: Workshop, policy: Policy | None = None) -> None:
        self.name = agent.name
        self.signature = agent.signature
        self.digest = agent.digest
        self.operation = agent.operation
        self.isolation: Isolation = agent.isolation
        self.kind = agent.kind
        self.remote = agent.remote
        self.uses = agent.uses
        self.grouped = isinstance(agent, Grouped)
        self.agent = agent
        self.circuits = Circuits(policy or Policy())
        self._clock = workshop.clock
        self._secrets = workshop.secrets
        self._listener = workshop.listener
        self._inside = agent.call
        if isinstance(agent, Grouped) and workshop.groups is not None:
            self._inside = partial(workshop.groups.call, agent)
        self._under_way = 0
        self._retired = False

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        if not self.circuits.ask(call.tenant, started):
            return self._refused(call.tenant, started)
        self._under_way += 1
        try:
            reply = await self._inside(call)
        except BaseException:
            self._given_up(call, started)
            raise
        finally:
            self._under_way -= 1
            if self._retired:
                await self._rest()
        self._learn(call, reply, started)
        reply = _cut(self._secrets.scrub_reply(reply))
        if self._listener is not None:
            self._listener(self._exchange(call, reply, started))
        return reply

    async def close(self) -> None:
        """Let go of what the agent holds."""
        if isinstance(self.agent, Closing):
            await self.agent.close()

    async def retire(self) -> None:
        """Let go of what the agent holds whenever nobody calls it: it is kept no longer, but may be called."""
        self._retired = True
        await self._rest()

    async def _rest(self) -> None:
        if not self._under_way:
            await self.close()

    def _refused(self, tenant: Tenant, now: int) -> AgentReply:
        breaker = self.circuits.of(tenant)
        wait = max(0, breaker.until - now) / 1e6
        said = f"{self.name} is not called for now: {breaker.failures} calls in a row have failed"
        return failed(UNAVAILABLE, said, {"retry_after": wait})

    def _learn(self, call: AgentCall, reply: AgentReply, started: int) -> None:
        kind = "" if reply.failure is None else reply.failure.kind
        if kind not in TELLING:
            self.circuits.succeed(call.tenant)
        elif kind == TIMEOUT and not self._had_time(call, started):
            self.circuits.drop(call.tenant, self._clock.now())
        else:
            self.circuits.fail(call.tenant, self._clock.now())

    def _given_up(self, call: AgentCall, started: int) -> None:
        """Whether the agent's time was over, or the call is no longer wanted, which tells nothing."""
        now = self._clock.now()
        if call.deadline is not None and now >= call.deadline and self._had_time(call, started):
            self.circuits.fail(call.tenant, now)
        else:
            self.circuits.drop(call.tenant, now)

    def _had_time(self, call: AgentCall, started: int) -> bool:
        """Whether the caller gave the agent the time that it declares."""
        time = self.signature.time
        granted = _SILENCE if time is None else time * _NEARLY
        return call.deadline is None or call.deadline - started >= granted

    def _exchange(self, call: AgentCall, reply: AgentReply, started: int) -> Exchange:
        return Exchange(
            execution=call.execution,
            step=call.key,
            attempt=call.attempt,
            agent=self.name,
            version=self.digest,
            sent=exchanges.sent(self.signature, call, self._secrets),
            received=exchanges.received(self.signature, call, reply, self._secrets),
            outcome="ok" if reply.failure is None else reply.failure.kind,
            ms=(self._clock.now() - started) / 1000,
        )


def _cut(reply: AgentReply) -> AgentReply:
    """The reply, in which no secret is left; a failure's message is bounded."""
    failure = reply.failure
    if failure is None:
        return reply
    told = bounded(failure.message)
    return reply if told == failure.message else replace(reply, failure=replace(failure, message=told))
