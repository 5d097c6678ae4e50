"""A model behind a real server that speaks the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.assembling import assemble
from stratarouter_runtime.agents.conversation import MOST_TOOLS, Model
from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.failures import MAX_OUTPUT, failed
from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.kinds import Blueprint
from stratarouter_runtime.agents.llm import ModelSpec
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.state.events import Budget, Failure, Usage
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.allowed import Allowed
from stratarouter_runtime.tcfp.ir import Cost, Effect, Needs, Signature
from stratarouter_runtime.tcfp.types import INT, STRING, Type, labelled, record
from stratarouter_runtime.testing.chat_server import Answers, Breaks, ChatServer, Floods, Hangs, Says, Script

DOCUMENT = """\
hosts: [127.0.0.1]
types:
  Triage: { team: [billing, tech], urgent: bool }
agents:
  triage:
    kind: llm
    url: URL
    model: small-1
    key: secret://env/KEY
    headers: { x-team: support }
    system: You triage tickets.
    prompt: |
      Subject: {{ticket.subject}}
      Triage it.
    temperature: 0
    max_tokens: 200
    price: { in: 1, out: 10 }
    in: { ticket: { subject: string } }
    out: Triage
    effect: pure
"""
SECRETS = {"KEY": "sk-hush-hush"}
CALL = AgentCall(
    ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "5eed", 1, {"ticket": {"subject": "I was charged twice"}}
)
GOOD = '{"team": "billing", "urgent": true}'
OUTPUT = {"team": "billing", "urgent": True}


def declared(folder: Path, document: str = DOCUMENT, url: str = "https://llm.test/v1") -> ModelSpec:
    path = folder / "agents.yaml"
    path.write_text(document.replace("URL", url))
    (found,) = read_declared(path, Secrets(SECRETS))
    assert isinstance(found, ModelSpec)
    return found


class Stage:
    """A model, and a server with a script."""

    def __init__(self, folder: Path, *script: Script, document: str = DOCUMENT) -> None:
        self.server = ChatServer(*script)
        self.folder = folder
        self.document = document
        self.partials: list[str] = []
        self.tools: list[Agent] = []

    async def call(self, call: AgentCall = CALL) -> AgentReply:
        workshop = Workshop(
            clock=SystemClock(),
            secrets=Secrets(SECRETS),
            web=Web(),
            partials=self,
        )
        async with self.server.serving() as server:
            spec = declared(self.folder, self.document, server.url)
            agent = assemble(self.tools, [spec], workshop)[-1]
            assert isinstance(agent, Fenced)
            try:
                return await agent.call(call)
            finally:
                await agent.close()

    def heard(self, call: AgentCall, text: str) -> None:
        self.partials.append(text)

    async def close(self) -> None: ...

    async def failure(self, call: AgentCall = CALL) -> Failure:
        reply = await self.call(call)
        assert reply.failure is not None
        return reply.failure


def paid(tokens_in: int, tokens_out: int) -> tuple[float, int, int]:
    return (round((tokens_in + 10 * tokens_out) / 1e6, 9), tokens_in, tokens_out)


def took(reply: AgentReply) -> tuple[float, int, int]:
    assert reply.usage is not None
    return (round(reply.usage.usd, 9), reply.usage.tokens_in, reply.usage.tokens_out)


async def test_a_question_is_asked_typed_and_answered_typed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(GOOD, tokens=(100, 20)))
    reply = await stage.call()
    assert (reply.output, reply.failure) == (OUTPUT, None)
    assert took(reply) == paid(100, 20)
    (asked,) = stage.server.requests
    seed = asked.pop("seed")
    assert 0 <= seed < 2**31
    assert asked == {
        "model": "small-1",
        "messages": [
            {"role": "system", "content": "You triage tickets."},
            {"role": "user", "content": "Subject: I was charged twice\nTriage it.\n"},
        ],
        "temperature": 0.0,
        "max_completion_tokens": 200,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {
                        "team": {"type": "string", "enum": ["billing", "tech"]},
                        "urgent": {"type": "boolean"},
                    },
                    "required": ["team", "urgent"],
                    "additionalProperties": False,
                },
            },
        },
    }
    headers = stage.server.headers[0]
    assert (headers["authorization"], headers["x-team"]) == ("Bearer sk-hush-hush", "support")


async def test_what_stands_behind_a_question_mark_stays_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(GOOD), document=DOCUMENT.replace("url: URL", "url: URL/base/?version=1"))
    assert (await stage.call()).output == OUTPUT
    assert stage.server.targets == ["/v1/base/chat/completions?version=1"]


async def test_text_needs_no_form(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says("It is billing."), document=DOCUMENT.replace("out: Triage", "out: string"))
    assert (await stage.call()).output == "It is billing."
    assert "response_format" not in stage.server.requests[0]


@pytest.mark.parametrize(
    "wrong", ["Sure! " + GOOD, "", '{"team": "sales", "urgent": true}', '{"team": "tech"}']
)
async def test_what_does_not_fit_is_corrected_once(tmp_path: Path, wrong: str) -> None:
    stage = Stage(tmp_path, Says(wrong), Says(GOOD))
    reply = await stage.call()
    assert reply.output == OUTPUT
    assert took(reply) == paid(20, 10)
    *_, said, correction = stage.server.requests[1]["messages"]
    assert said == {"role": "assistant", "content": wrong}
    assert correction["role"] == "user"
    assert correction["content"].startswith("That does not fit: ")


async def test_what_does_not_fit_twice_is_no_output(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says("no"), Says('{"team": "sales", "urgent": true}'), Says(GOOD))
    reply = await stage.call()
    assert reply.failure is not None
    assert reply.failure.kind == "agent.invalid_output"
    assert "answered twice with what does not fit" in reply.failure.message
    assert (len(stage.server.requests), took(reply)) == (2, paid(20, 10))


ERROR = b'{"error": {"message": "the key sk-hush-hush is over its quota"}}'


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        (Answers(429, ERROR), "agent.rate_limited", "answered 429 Said: the key [secret] is over its quota"),
        (Answers(500, ERROR), "agent.unavailable", "answered 500 Said: the key [secret]"),
        (Answers(503), "agent.unavailable", "answered 503 Said"),
        (Answers(400, b"no json"), "agent.refused", "answered 400 Said"),
        (Answers(401, b'{"error": "wrong key"}'), "agent.refused", "answered 401 Said: wrong key"),
        (Answers(302, headers=(("location", "http://169.254.169.254/"),)), "agent.refused", "answered 302"),
        (Answers(200, b"<html>"), "agent.invalid_output", "sent no chat completion"),
        (Answers(200, b'{"choices": "x"}'), "agent.invalid_output", "sent no chat completion"),
        (Answers(200, b'{"choices": []}'), "agent.invalid_output", "a chat completion without a message"),
        (Answers(200, b"\xff\xfe"), "agent.invalid_output", "sent no chat completion"),
        (Answers(200, b'{"cho', length=500), "agent.unavailable", "cannot be reached: RemoteProtocolError"),
        (
            Says(refusal="I cannot help with that."),
            "agent.refused",
            "triage refused: I cannot help with that.",
        ),
        (Says("half", finish="content_filter"), "agent.refused", "triage refused: its answer was filtered"),
        (
            Says('{"team": "bil', finish="length"),
            "agent.invalid_output",
            "triage was cut off: raise max_tokens",
        ),
    ],
)
async def test_an_endpoint_that_does_not_answer_is_a_failure(
    tmp_path: Path, script: Script, kind: str, said: str
) -> None:
    failure = await Stage(tmp_path, script).failure()
    assert failure.kind == kind
    assert said in failure.message


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("7", {"retry_after": 7}),
        ("Fri, 31 Dec 1999 23:59:59 GMT", {"retry_after": 0}),
        ("soon", None),
        (None, None),
    ],
)
async def test_a_refusal_for_too_many_says_when_to_come_back(
    tmp_path: Path, header: str | None, data: Any
) -> None:
    headers = () if header is None else (("retry-after", header),)
    assert (await Stage(tmp_path, Answers(429, headers=headers)).failure()).data == data


async def test_an_endpoint_that_hangs_is_given_up(tmp_path: Path) -> None:
    deadline = SystemClock().now() + 50_000
    failure = await Stage(tmp_path, Hangs()).failure(replace(CALL, deadline=deadline))
    assert (failure.kind, "did not answer within 0.0" in failure.message) == ("timeout", True)


async def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Floods(100_000_000))
    failure = await stage.failure()
    assert failure == Failure(
        "limit.output",
        f"the output has more than {MAX_OUTPUT:,} bytes; at most {MAX_OUTPUT:,} are accepted",
    )
    assert stage.server.sent < 3 * MAX_OUTPUT


async def test_nobody_there_is_unavailability(tmp_path: Path) -> None:
    spec = declared(tmp_path, url="http://127.0.0.1:9/v1")
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    reply = await Model(spec, workshop).call(CALL)
    assert reply.failure is not None
    assert (reply.failure.kind, took(reply)) == ("agent.unavailable", (0.0, 0, 0))


async def test_what_nobody_counts_costs_its_bound(tmp_path: Path) -> None:
    bounded = DOCUMENT + "    cost: { usd: 0.5, tokens: 900 }\n"
    assert took(await Stage(tmp_path, Says(GOOD, tokens=None), document=bounded).call()) == (0.5, 900, 0)


@pytest.mark.parametrize(("model", "usd"), [("gpt-4o-mini", 0.00021), ("nobody-knows-it", 0.5)])
async def test_without_a_declared_price_the_public_lists_count(
    tmp_path: Path, model: str, usd: float
) -> None:
    document = DOCUMENT.replace("    price: { in: 1, out: 10 }\n", "    cost: { usd: 0.5 }\n")
    stage = Stage(tmp_path, Says(GOOD, tokens=(1000, 100)), document=document.replace("small-1", model))
    assert took(await stage.call()) == (usd, 1000, 100)


# In pieces.

STREAMED = DOCUMENT + "    stream: true\n"


async def test_text_is_heard_as_it_comes(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(GOOD, tokens=(100, 20)), document=STREAMED)
    reply = await stage.call()
    assert (reply.output, took(reply)) == (OUTPUT, paid(100, 20))
    assert stage.partials == ['{"team": ', '"billing", ', '"urgent": ', "true}"]
    assert "".join(stage.partials) == GOOD
    assert stage.server.requests[0]["stream_options"] == {"include_usage": True}


async def test_nobody_hears_of_a_labelled_answer_before_it_is_whole(tmp_path: Path) -> None:
    labelled = STREAMED.replace("out: Triage", "out: string @pii")
    stage = Stage(tmp_path, Says("Ana lives in Rome."), document=labelled)
    assert (await stage.call()).output == "Ana lives in Rome."
    assert stage.server.requests[0]["stream"] is True
    assert stage.partials == []


async def test_an_endpoint_that_does_not_stream_is_heard_at_once(tmp_path: Path) -> None:
    body = b'{"choices": [{"message": {"content": "{\\"team\\": \\"tech\\", \\"urgent\\": false}"}}]}'
    stage = Stage(tmp_path, Answers(200, body), document=STREAMED)
    assert (await stage.call()).output == {"team": "tech", "urgent": False}
    assert "".join(stage.partials) == '{"team": "tech", "urgent": false}'


async def test_half_a_stream_is_no_answer(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Breaks(GOOD, 2), document=STREAMED)
    failure = await stage.failure()
    assert failure.kind == "agent.unavailable"
    assert "".join(stage.partials) == GOOD[:14]


@pytest.mark.parametrize(
    "frame", [b"data: {]\n\n", b'data: {"error": {"message": "overloaded"}}\n\n', b": nothing\n\n"]
)
async def test_a_stream_of_something_else_is_a_failure(tmp_path: Path, frame: bytes) -> None:
    script = Answers(200, frame, headers=(("content-type", "text/event-stream"),))
    failure = await Stage(tmp_path, script, document=STREAMED).failure()
    assert failure.kind in {"agent.invalid_output", "agent.unavailable"}


async def test_a_piece_may_say_null_where_nothing_is_new(tmp_path: Path) -> None:
    pieces = (
        (
            b'{"choices": [{"delta": {"content": null, "tool_calls": [{"index": 0, "id": "c", "type": "function",'
            b' "function": {"name": "look", "arguments": "{\\"id\\""}}]}}], "usage": null}'
        ),
        (
            b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": null,'
            b' "function": {"name": null, "arguments": ": 7}"}}]}}]}'
        ),
        b'{"choices": [{"delta": {}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": null}}',
        b"[DONE]",
    )
    body = b"".join(b"data: %b\r\n\r\n" % piece for piece in pieces)
    script = Answers(200, body, headers=(("content-type", "text/event-stream; charset=utf-8"),))
    stage = Stage(tmp_path, script, Says(GOOD), document=TOOLED + "    stream: true\n")
    look = Tool()
    stage.tools = [look]
    assert (await stage.call()).output == OUTPUT
    assert look.inputs == [{"id": 7}]


async def test_tools_and_refusals_come_in_pieces_too(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, Says(tools=(("look", {"id": 7}),)), Says(GOOD), document=TOOLED + "    stream: true\n"
    )
    look = Tool()
    stage.tools = [look]
    assert (await stage.call()).output == OUTPUT
    assert look.inputs == [{"id": 7}]
    refused = Stage(tmp_path, Says(refusal="No."), document=STREAMED)
    assert (await refused.failure()).message == "triage refused: No."


# Tools.

TOOLED = DOCUMENT + "    tools: [look]\n    rounds: 2\n"


class Tool(Agent):
    """Looks up an order."""

    def __init__(
        self,
        name: str = "look",
        reply: AgentReply | None = None,
        *,
        effect: Effect = "pure",
        output: Type = STRING,
        accepts: frozenset[str] = frozenset(),
    ) -> None:
        self.name = AgentName(name)
        self.signature = Signature(
            record({"id": INT}), output, effect=effect, about="looks up", accepts=accepts
        )
        self.digest = Digest("t" * 64)
        self.reply = reply or AgentReply("paid twice", usage=Usage(0.25, 7, 8, 9.0))
        self.inputs: list[Any] = []
        self.keys: list[str] = []
        self.carried: list[frozenset[str]] = []

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.inputs.append(call.input)
        self.keys.append(call.key)
        self.carried.append(call.carries)
        return self.reply


class Note(Agent):
    """Writes down what it is told."""

    name = AgentName("note")
    signature = Signature(record({"text": STRING}), STRING, effect="pure")
    digest = Digest("n" * 64)

    def __init__(self) -> None:
        self.heard: list[str] = []

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.heard.append(call.input["text"])
        return AgentReply("noted")


async def test_a_model_asks_its_tools(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, Says(tools=(("look", {"id": 7}), ("look", {"id": 8}))), Says(GOOD), document=TOOLED
    )
    look = Tool()
    stage.tools = [look]
    reply = await stage.call()
    assert (reply.output, look.inputs) == (OUTPUT, [{"id": 7}, {"id": 8}])
    assert len({*look.keys, CALL.key}) == 3
    assert took(reply) == (0.50012, 34, 26)
    first, second = stage.server.requests
    assert first["tools"][0]["function"] == {
        "name": "look",
        "description": "looks up",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "integer"}},
            "required": ["id"],
            "additionalProperties": False,
        },
    }
    asked, told, _ = second["messages"][2:]
    assert asked["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"id":7}'}
    assert told == {"role": "tool", "tool_call_id": "call_0", "content": '"paid twice"'}


@pytest.mark.parametrize(
    ("wanted", "reply", "told", "origin"),
    [
        (("look", {"id": "x"}), None, "the arguments do not fit", (True, 0)),
        (("look", "{]"), None, "the arguments do not fit", (True, 0)),
        (("drop", {}), None, "there is no tool 'drop'", (True, 0)),
        (
            ("look", {"id": 1}),
            failed("agent.unavailable", "x"),
            '"agent.unavailable","message":"x"',
            (False, 0),
        ),
        (("look", {"id": 1}), AgentReply(3), "the tool returned what does not fit", (False, 0)),
        (("look", {"id": 1}), AgentReply("cut", whole=False), '"cut"', (False, 0)),
        (("look", {"id": 1}), AgentReply("known", since=7), '"known"', (True, 7)),
    ],
)
async def test_a_tool_that_fails_is_told_to_the_model_and_what_that_says_is_for_nobody_later(
    tmp_path: Path, wanted: tuple[str, Any], reply: AgentReply | None, told: str, origin: tuple[bool, int]
) -> None:
    stage = Stage(tmp_path, Says(tools=(wanted,)), Says(GOOD), document=TOOLED)
    stage.tools = [Tool(reply=reply)]
    answered = await stage.call()
    assert (answered.output, answered.whole, answered.since) == (OUTPUT, *origin)
    assert told in stage.server.requests[1]["messages"][-1]["content"]


async def test_a_model_that_never_stops_asking_is_stopped(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(tools=(("look", {"id": 1}),)), document=TOOLED)
    stage.tools = [Tool()]
    failure = await stage.failure()
    assert failure == Failure("agent.invalid_output", "triage still asks for tools after 2 rounds")
    assert len(stage.server.requests) == 3


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (None, "has the tool 'look', which is not at hand"),
        (
            Tool(effect="effect"),
            "cannot have the tool 'look': its effect is effect, at most pure is declared",
        ),
    ],
)
def test_a_tool_that_does_not_fit_is_refused(tmp_path: Path, tool: Tool | None, said: str) -> None:
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    with pytest.raises(LinkError, match=said):
        assemble([tool] if tool else [], [declared(tmp_path, TOOLED)], workshop)


def test_a_tool_has_to_accept_what_the_model_is_given(tmp_path: Path) -> None:
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    document = TOOLED + "    accepts: [pii]\n"
    with pytest.raises(LinkError, match="it does not accept @pii"):
        assemble([Tool()], [declared(tmp_path, document)], workshop)
    assert len(assemble([Tool(accepts=frozenset({"pii"}))], [declared(tmp_path, document)], workshop)) == 2


def test_agents_that_use_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    spec = declared(tmp_path, TOOLED)
    blueprints: list[Blueprint] = [
        replace(spec, uses=(AgentName("b"),), name=AgentName("a")),
        replace(spec, uses=(AgentName("a"),), name=AgentName("b")),
    ]
    with pytest.raises(LinkError, match="agents use each other in a circle: a, b"):
        assemble([], blueprints, Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web()))


# Identity.


def digest(folder: Path, document: str, tools: list[Agent] | None = None) -> str:
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    return assemble(tools or [], [declared(folder, document)], workshop)[-1].digest


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("model: small-1", "model: small-2"),
        ("temperature: 0", "temperature: 0.5"),
        ("max_tokens: 200", "max_tokens: 201"),
        ("Triage it.", "Triage it well."),
        ("You triage tickets.", "You triage."),
        ("    effect: pure\n", "    effect: pure\n    version: '2'\n"),
        ("urgent: bool", "urgent: bool?"),
    ],
)
def test_what_changes_the_answer_changes_the_digest(tmp_path: Path, written: str, instead: str) -> None:
    assert written in DOCUMENT
    assert digest(tmp_path, DOCUMENT) != digest(tmp_path, DOCUMENT.replace(written, instead))


def test_a_tool_of_another_version_is_another_agent(tmp_path: Path) -> None:
    changed = Tool()
    changed.digest = Digest("u" * 64)
    assert digest(tmp_path, TOOLED, [Tool()]) != digest(tmp_path, TOOLED, [changed])


def test_key_headers_and_price_do_not_change_the_digest(tmp_path: Path) -> None:
    other = DOCUMENT.replace("price: { in: 1", "price: { in: 2").replace("x-team: support", "x-team: sales")
    assert digest(tmp_path, DOCUMENT) == digest(tmp_path, other.replace("    key: secret://env/KEY\n", ""))


@pytest.mark.parametrize(("more", "equal"), [("", False), ("    stable: true\n", True)])
async def test_a_stable_agent_always_draws_the_same_seed(
    tmp_path: Path,
    more: str,
    equal: bool,  # noqa: FBT001 - a row of the table
) -> None:
    drawn = []
    for seed in ("a", "b"):
        stage = Stage(tmp_path, Says(GOOD), document=DOCUMENT + more)
        await stage.call(replace(CALL, seed=seed))
        drawn.append(stage.server.requests[0]["seed"])
    assert (drawn[0] == drawn[1]) is equal


# Mistakes.


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("{{ticket.subject}}", "{{ticket.subjet}}", ":13:18 E211: no field 'subjet' in {subject: string}  [hint: did you mean 'subject'?]"),
        ("    model: small-1\n", "", ": an agent lacks 'model:'"),
        ("    prompt: |\n      Subject: {{ticket.subject}}\n      Triage it.\n", "", ": an agent lacks 'prompt:'"),
        ("temperature: 0", "temperature: 3", ":15:18 E131: 3 is out of range"),
        ("max_tokens: 200", "max_tokens: 0", ":16:17 E131: 0 is out of range"),
        ("in: 1, out: 10", "in: 1, ou: 10", ":17:21 E110: unknown key 'ou' in a price"),
        ("secret://env/KEY", "secret://env/KEI", ":9:10 E111: the variable KEI is not set"),
        ("secret://env/KEY", "sk-plain", ":9:10 E134: a key does not stand in a document  [hint: write a reference"),
        ("url: URL", "url: llm.test", ":7:10 E134: not an address of http or https"),
        ("effect: pure", "effect: pure\n    needs: { hosts: [other.test] }", ":7:10 E134: needs.hosts does not name llm.test"),
        ("hosts: [127.0.0.1]", "hosts: [http://x]", ":1:9 E134: 'http://x' has no such port"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, written: str, instead: str, said: str) -> None:
    assert written in DOCUMENT
    with pytest.raises(LinkError) as caught:
        declared(tmp_path, DOCUMENT.replace(written, instead))
    assert said in caught.value.message


def test_host_and_tools_count_as_what_the_agent_needs(tmp_path: Path) -> None:
    needs = declared(tmp_path, TOOLED).signature.needs
    assert (needs.hosts, needs.tools) == (("llm.test",), ("look",))
    assert declared(tmp_path).signature.cost == Cost()


# Within what is left, and what is allowed.

THRIFTY = DOCUMENT.replace("effect: pure\n", "effect: pure\n    tools: [look_up]\n")


class Reaching(Agent):
    """A tool that takes tokens, and needs a host."""

    name = AgentName("look_up")
    signature = Signature(record({}), STRING, effect="pure", needs=Needs(hosts=("orders.test",)))
    digest = Digest("d" * 64)

    def __init__(self) -> None:
        self.calls: list[AgentCall] = []

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.calls.append(call)
        return AgentReply("order 7", usage=Usage(0.5, 30, 10))


def asking(stage: Stage) -> Reaching:
    tool = Reaching()
    stage.tools.append(tool)
    return tool


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(tokens=50), "triage took 55 tokens, 50 were left: it is not asked again"),
        (Budget(usd=0.5), "triage took 0.50006 usd, 0.5 were left: it is not asked again"),
    ],
)
async def test_a_model_is_not_asked_again_once_nothing_is_left(
    tmp_path: Path, budget: Budget, told: str
) -> None:
    stage = Stage(tmp_path, Says(tools=(("look_up", {}),)), Says(GOOD), document=THRIFTY)
    asking(stage)
    reply = await stage.call(replace(CALL, budget=budget))
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message) in {
        ("limit.tokens", told),
        ("limit.usd", told),
    }
    assert len(stage.server.requests) == 1
    assert took(reply) == (0.50006, 40, 15)


async def test_a_model_with_enough_left_is(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(tools=(("look_up", {}),)), Says(GOOD), document=THRIFTY)
    asking(stage)
    reply = await stage.call(replace(CALL, budget=Budget(1.0, 1_000)))
    assert (reply.output, len(stage.server.requests)) == (OUTPUT, 2)


async def test_tools_are_called_within_what_their_model_is_allowed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(tools=(("look_up", {}),)), Says(GOOD), document=THRIFTY)
    tool = asking(stage)
    allowed = Allowed(hosts=frozenset({"orders.test"}), labels=frozenset())
    await stage.call(replace(CALL, allowed=allowed, budget=Budget(1.0), scope="ann"))
    (call,) = tool.calls
    assert (call.allowed, call.budget, call.scope) == (allowed, Budget(1.0 - 0.00006), "ann")


async def test_each_tool_gets_what_the_others_left_and_none_is_called_when_nothing_is(tmp_path: Path) -> None:
    wanted = Says(tools=(("look_up", {}),) * 4, tokens=(5, 5))
    stage = Stage(tmp_path, wanted, Says(GOOD), document=THRIFTY)
    tool = asking(stage)
    reply = await stage.call(replace(CALL, budget=Budget(tokens=100)))
    assert [call.budget for call in tool.calls] == [Budget(tokens=left) for left in (90, 50, 10)]
    told = "triage took 130 tokens, 100 were left: the tool look_up is not called"
    assert reply.failure == Failure("limit.tokens", told)
    assert took(reply) == (1.500055, 95, 35)


async def test_what_public_lists_say_counts_against_what_is_left(tmp_path: Path) -> None:
    document = THRIFTY.replace("    price: { in: 1, out: 10 }\n", "").replace("small-1", "gpt-4o-mini")
    stage = Stage(tmp_path, Says(tools=(("look_up", {}),), tokens=(1000, 100)), document=document)
    tool = asking(stage)
    failure = await stage.failure(replace(CALL, budget=Budget(usd=0.0002)))
    told = "triage took 0.00021 usd, 0.0002 were left: the tool look_up is not called"
    assert (failure, tool.calls) == (Failure("limit.usd", told), [])


async def test_a_tool_that_may_cost_more_than_is_left_is_not_called(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Says(tools=(("look_up", {}),)), Says(GOOD), document=THRIFTY)
    tool = asking(stage)
    tool.signature = replace(tool.signature, cost=Cost(usd=2.0))
    assert (await stage.call(replace(CALL, budget=Budget(usd=1.0)))).output == OUTPUT
    assert tool.calls == []
    assert '"error":"limit.usd"' in stage.server.requests[1]["messages"][-1]["content"]


async def test_no_answer_has_tools_called_without_end(tmp_path: Path) -> None:
    wanted = Says(tools=(("look_up", {}),) * (MOST_TOOLS + 1))
    stage = Stage(tmp_path, wanted, Says(GOOD), document=THRIFTY)
    tool = asking(stage)
    assert (await stage.call()).output == OUTPUT
    assert len(tool.calls) == MOST_TOOLS
    told = stage.server.requests[1]["messages"][-MOST_TOOLS - 1 :]
    assert ["limit.tools" in message["content"] for message in told] == [False] * MOST_TOOLS + [True]


async def test_a_secret_that_a_model_says_again_is_told_to_no_tool(tmp_path: Path) -> None:
    document = TOOLED.replace("[look]", "[note]")
    stage = Stage(tmp_path, Says(tools=(("note", {"text": "sk-hush-hush"}),)), Says(GOOD), document=document)
    note = Note()
    stage.tools = [note]
    assert (await stage.call()).output == OUTPUT
    assert note.heard == ["[secret]"]


@pytest.mark.parametrize("said", ['{"team": "sk-hush-hush", "urgent": true}', '{"team": "x", "urgent": 1}'])
async def test_a_secret_is_in_no_correction_and_no_failure(tmp_path: Path, said: str) -> None:
    stage = Stage(tmp_path, Says(said), Says('{"team": "sk-hush-hush", "urgent": true}'))
    failure = await stage.failure()
    assert "found '[secret]'" in failure.message
    assert "sk-" not in str(stage.server.requests)


# Labels among tools.

PII = frozenset({"pii"})
TELLING = labelled(STRING, PII)
LABELLED = TOOLED.replace("    out: Triage\n", "    out: { said: string@pii }\n")


@pytest.mark.parametrize(
    ("document", "tools", "said"),
    [
        (LABELLED, [Tool(output=TELLING)], "'look': it tells @pii, which the model does not accept"),
        (
            LABELLED + "    accepts: [pii]\n",
            [Tool(output=TELLING)],
            "'look': it does not accept @pii, which the model is given",
        ),
        (LABELLED + "    accepts: [pii]\n", [Tool(output=TELLING, accepts=PII)], ""),
        (
            TOOLED + "    accepts: [pii]\n",
            [Tool(output=TELLING, accepts=PII)],
            "'look': it tells @pii, and the model's answer does not say so",
        ),
        (
            TOOLED.replace("subject: string }", "subject: string@pii }"),
            [Tool()],
            "'look': it does not accept @pii, which the model is given",
        ),
        (TOOLED.replace("subject: string }", "subject: string@pii }"), [Tool(accepts=PII)], ""),
        (
            LABELLED.replace("[look]", "[look, other]").replace("subject: string }", "subject: string@pii }"),
            [Tool(output=TELLING, accepts=PII), Tool("other")],
            "'other': it does not accept @pii, which the model is given",
        ),
    ],
)
def test_labels_reach_neither_tool_nor_model_that_does_not_accept_them(
    tmp_path: Path, document: str, tools: list[Agent], said: str
) -> None:
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    if not said:
        assert len(assemble(tools, [declared(tmp_path, document)], workshop)) == 2
        return
    with pytest.raises(LinkError, match=f"cannot have the tool {said}"):
        assemble(tools, [declared(tmp_path, document)], workshop)


@pytest.mark.parametrize(
    ("labels", "carried"),
    [(None, [frozenset[str](), PII]), (PII, [frozenset[str](), PII]), (frozenset[str](), [])],
)
async def test_what_a_tool_tells_is_carried_on_as_far_as_limits_allow(
    tmp_path: Path, labels: frozenset[str] | None, carried: list[frozenset[str]]
) -> None:
    script = [Says(tools=(("look", {"id": n}),)) for n in (1, 2)]
    document = LABELLED + "    accepts: [pii]\n"
    stage = Stage(tmp_path, *script, Says('{"said": "fine"}'), document=document)
    look = Tool(output=TELLING, accepts=PII)
    stage.tools = [look]
    assert (await stage.call(replace(CALL, allowed=Allowed(labels=labels)))).output == {"said": "fine"}
    assert look.carried == carried
    refused = "it tells @pii, which limits.labels does not allow"
    assert (refused in stage.server.requests[-1]["messages"][-1]["content"]) is (not carried)


async def test_a_model_needs_the_hosts_of_its_tools(tmp_path: Path) -> None:
    spec = declared(tmp_path, THRIFTY)
    workshop = Workshop(clock=SystemClock(), secrets=Secrets(SECRETS), web=Web())
    tool = Reaching()
    model = Model(spec, replace(workshop, colleagues={tool.name: tool}.get))
    assert model.signature.needs.hosts == ("llm.test", "orders.test")
    assert model.uses == (tool,)
