"""What stands around every agent of a project: a circuit breaker, and no secret on its way out.

Must never know: of which kind the agent is.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from typing_extensions import override

from stratarouter_runtime.agents import exchanges
from stratarouter_runtime.agents.exchanges import Exchange
from stratarouter_runtime.agents.failures import TIMEOUT, UNAVAILABLE, failed
from stratarouter_runtime.agents.registry import Closing
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.breaker import CLOSED, Breaker, Policy, ask, drop, fail, succeed
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Grouped, Isolation

TELLING: Final = frozenset({UNAVAILABLE, TIMEOUT})
"""The failures that say something about the agent, rather than about what it was asked."""


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
        self._clock = workshop.clock
        self._secrets = workshop.secrets
        self._listener = workshop.listener
        self._policy = policy or Policy()
        self._breaker = CLOSED
        self._inside = agent.call
        if isinstance(agent, Grouped) and workshop.groups is not None:
            self._inside = partial(workshop.groups.call, agent)

    @property
    def breaker(self) -> Breaker:
        """How the circuit stands."""
        return self._breaker

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        self._breaker, through = ask(self._breaker, started)
        if not through:
            return self._refused(started)
        try:
            reply = await self._inside(call)
        except BaseException:
            self._given_up(call)
            raise
        self._learn(reply)
        reply = self._secrets.scrub_reply(reply)
        if self._listener is not None:
            self._listener(self._exchange(call, reply, started))
        return reply

    async def close(self) -> None:
        """Let go of what the agent holds."""
        if isinstance(self.agent, Closing):
            await self.agent.close()

    def _refused(self, now: int) -> AgentReply:
        wait = max(0, self._breaker.until - now) / 1e6
        said = f"{self.name} is not called for now: {self._breaker.failures} calls in a row have failed"
        return failed(UNAVAILABLE, said, {"retry_after": wait})

    def _learn(self, reply: AgentReply) -> None:
        if reply.failure is not None and reply.failure.kind in TELLING:
            self._breaker = fail(self._breaker, self._policy, self._clock.now())
        else:
            self._breaker = succeed(self._breaker)

    def _given_up(self, call: AgentCall) -> None:
        """Whether the caller's time was over, or the call is no longer wanted, which tells nothing."""
        now = self._clock.now()
        if call.deadline is not None and now >= call.deadline:
            self._breaker = fail(self._breaker, self._policy, now)
        else:
            self._breaker = drop(self._breaker, now)

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
