"""A model that answers a call: asked, given what its tools say, corrected once, and paid for.

Every end is a reply: what a model says is checked against the type before it counts. Must never
know: flows, plans, the journal, or how an endpoint is spoken to.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents import chat
from stratarouter_runtime.agents.addresses import shown
from stratarouter_runtime.agents.answers import answer_schema, is_strict, is_text, read_answer
from stratarouter_runtime.agents.chat import NoAnswer, Said
from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    failed,
    patience_of,
    too_large,
)
from stratarouter_runtime.agents.headers import filled
from stratarouter_runtime.agents.models import Spec
from stratarouter_runtime.agents.murmur import Murmur
from stratarouter_runtime.agents.reach import Barred, host_of
from stratarouter_runtime.agents.secrets import SecretMissing
from stratarouter_runtime.agents.spending import Spending
from stratarouter_runtime.agents.toolbox import Toolbox, Used
from stratarouter_runtime.agents.web import Line, TooLarge
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.canonical import canonical, digest_bytes
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Operation
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.state.provenance import MADE
from stratarouter_runtime.tcfp.digests import agent_digest, some
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.values import Misfit

_CUT: Final = "length"
_FILTERED: Final = "content_filter"
MOST_TOOLS: Final = 32
"""Calls of tools that are made for one answer of a model; of others it is told that they are too many."""
_MISFIT: Final = "That does not fit: {misfit}. Answer again, with nothing but what was asked for."


class Model(Agent):
    """Belongs to one event loop, and keeps its connections until `close`."""

    kind = "llm"
    remote = True

    def __init__(self, spec: Spec, workshop: Workshop) -> None:
        self.name = spec.name
        self.toolbox = Toolbox(spec, workshop)
        self.uses = self.toolbox.agents
        self.signature = _needing(spec.signature, self.uses)
        self.digest = agent_digest(spec.name, "llm", _version(spec, self.toolbox), self.signature)
        self.operation = Operation("chat", provider=host_of(spec.url), model=spec.model)
        self._spec = spec
        self._clock = workshop.clock
        self._secrets = workshop.secrets.towards(host_of(spec.url))
        self._partials = workshop.partials
        web = workshop.web.allowing(spec.hosts)
        self._line = Line(web.only((host_of(spec.url), *spec.signature.needs.hosts)))
        url = _completions(spec.url)
        self._endpoint = chat.Endpoint(url, shown(url), workshop.max_output)

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        talk = Conversation(self, self._spec, call, started)
        patience = patience_of(call, self.signature, started)
        try:
            async with asyncio.timeout(patience / 1e6):
                reply = await talk.answer()
        except TimeoutError:
            reply = failed(TIMEOUT, f"{self._endpoint.shown} did not answer within {patience / 1e6:.3f} s")
        except NoAnswer as none:
            reply = AgentReply(failure=none.failure)
        except TooLarge:
            reply = too_large(f"more than {self._endpoint.cap:,} bytes", self._endpoint.cap)
        except (SecretMissing, Barred) as refused:
            reply = failed(REFUSED, f"{self.name} cannot be called: {refused}")
        except Exception as error:  # noqa: BLE001 - whatever the network does is a failure of the agent
            told = f"{self._endpoint.shown} cannot be reached: {type(error).__name__}: {error}"
            reply = failed(UNAVAILABLE, told)
        return replace(reply, usage=await talk.spending.usage((self._clock.now() - started) / 1000))

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._line.close()

    async def ask(self, call: AgentCall, body: dict[str, Any]) -> Said:
        """Ask the endpoint once. Raises as `chat.ask`."""
        bearer = {"authorization": f"Bearer {self._spec.key}"} if self._spec.key else {}
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **await filled({**bearer, **self._spec.headers}, self._secrets),
        }
        murmur = self._murmur(call)
        hearing = None if murmur is None else murmur.hear
        try:
            said = await chat.ask(self._line, self._endpoint, headers, body, self._clock.now, hearing)
            return said.scrubbed(self._secrets)
        finally:
            if murmur is not None:
                murmur.end()

    def _murmur(self, call: AgentCall) -> Murmur | None:
        """Through whom text goes on as it comes: to nobody, of an answer that carries a label."""
        if not self._spec.stream:
            return None
        if self._partials is None or labels_of(self.signature.output):
            return Murmur(self._secrets, _unheard)
        return Murmur(self._secrets, partial(self._partials.heard, call))


def _needing(signature: Signature, tools: tuple[Agent, ...]) -> Signature:
    """The signature with the hosts of the tools among what the model needs: it reaches them through these."""
    hosts = dict.fromkeys(signature.needs.hosts)
    hosts |= dict.fromkeys(host for tool in tools for host in tool.signature.needs.hosts)
    return replace(signature, needs=replace(signature.needs, hosts=tuple(hosts)))


def _unheard(_text: str) -> None:
    """Text that nobody may hear before it is whole."""


class Conversation:
    """One call, that began at `now`."""

    def __init__(self, model: Model, spec: Spec, call: AgentCall, now: int) -> None:
        self._model = model
        self._spec = spec
        self._call = call
        self._messages: list[dict[str, Any]] = _opening(spec, call.input)
        self.spending = Spending(spec, call.budget, now)
        self._carries = call.carries
        self._origin = MADE

    async def answer(self) -> AgentReply:
        """The output, or why there is none."""
        corrected, rounds = False, 0
        while rounds <= self._spec.rounds:
            failure = await self.spending.exhausted("it is not asked again")
            if failure is not None:
                return AgentReply(failure=failure)
            said = await self._ask()
            if said.tools:
                rounds += 1
                failure = await self._use_tools(said)
                if failure is not None:
                    return AgentReply(failure=failure)
                continue
            failure = _unusable(self._model.name, said)
            if failure is not None:
                return AgentReply(failure=failure)
            try:
                output = read_answer(self._model.signature.output, said.text)
                return AgentReply(output, whole=self._origin.whole, since=self._origin.since)
            except Misfit as misfit:
                if corrected:
                    return failed(
                        INVALID_OUTPUT, f"{self._model.name} answered twice with what does not fit: {misfit}"
                    )
                corrected = True
                self._messages += _correction(said, misfit)
        return failed(
            INVALID_OUTPUT, f"{self._model.name} still asks for tools after {self._spec.rounds} rounds"
        )

    async def _ask(self) -> Said:
        self.spending.ask()
        said = await self._model.ask(self._call, self._body())
        self.spending.answered(said.tokens)
        return said

    async def _use_tools(self, said: Said) -> Failure | None:
        """Tell the model what each tool says, in the order in which it asked; why it is told no more."""
        self._messages.append(_asked_for(said))
        for index, tool in enumerate(said.tools):
            failure = await self.spending.exhausted(f"the tool {tool.name} is not called")
            if failure is not None:
                return failure
            within = replace(self._call, budget=await self.spending.left(), carries=self._carries)
            if index < MOST_TOOLS:
                used = await self._model.toolbox.use(tool, within, len(self._messages))
            else:
                used = Used.error("limit.tools", f"at most {MOST_TOOLS} tools are called at once")
            self.spending.used(used.usage)
            self._carries |= used.carries
            self._origin = self._origin.beside(used.origin)
            self._messages.append({"role": "tool", "tool_call_id": tool.id, "content": used.told})
        return None

    def _body(self) -> dict[str, Any]:
        spec, signature = self._spec, self._model.signature
        body: dict[str, Any] = {
            "model": spec.model,
            "messages": self._messages,
            "temperature": spec.temperature,
            "max_completion_tokens": spec.max_tokens,
            "seed": _seed(self._model.digest if signature.stable else self._call.seed),
            "tools": self._model.toolbox.schemas,
            "response_format": None if is_text(signature.output) else _format(signature.output),
        }
        return {name: part for name, part in body.items() if part not in (None, [])}


def _completions(url: str) -> str:
    """Where a base address answers questions; what stands behind its `?` stays there."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/chat/completions"))


def _opening(spec: Spec, value: Any) -> list[dict[str, Any]]:
    system = [] if spec.system is None else [{"role": "system", "content": spec.system.render(value)}]
    return [*system, {"role": "user", "content": spec.prompt.render(value)}]


def _asked_for(said: Said) -> dict[str, Any]:
    calls = [
        {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": tool.arguments}}
        for tool in said.tools
    ]
    return {"role": "assistant", "content": said.text or None, "tool_calls": calls}


def _correction(said: Said, misfit: Misfit) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": said.text},
        {"role": "user", "content": _MISFIT.format(misfit=misfit)},
    ]


def _unusable(name: str, said: Said) -> Failure | None:
    """Why nothing can be made of an answer whatever its type."""
    if said.refusal or said.finish == _FILTERED:
        return Failure(REFUSED, f"{name} refused: {said.refusal or 'its answer was filtered'}")
    if said.finish == _CUT:
        return Failure(INVALID_OUTPUT, f"{name} was cut off: raise max_tokens")
    return None


def _format(output: Any) -> dict[str, Any]:
    schema = answer_schema(output)
    named = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": named}


def _seed(text: str) -> int:
    """The seed in the form that endpoints take: 31 bits."""
    return int(digest_bytes(text.encode())[:8], 16) & 0x7FFFFFFF


def _version(spec: Spec, toolbox: Toolbox) -> str:
    """Everything that changes what the model says, apart from where it is served."""
    form = {
        "model": spec.model,
        "system": "" if spec.system is None else spec.system.source,
        "prompt": spec.prompt.source,
        "temperature": None if spec.temperature is None else repr(spec.temperature),
        "max_tokens": spec.max_tokens,
        "rounds": spec.rounds,
        "tools": toolbox.digests,
        "version": spec.version,
    }
    return digest_bytes(canonical(some(form)))
