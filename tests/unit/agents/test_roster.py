from __future__ import annotations

import pytest
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.agents.roster import Roster
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import AgentQuota, Conflict, InvalidAgent, LinkError, NotFound
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, Tenant
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Shelf
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import STRING, record

FETCH = AgentName("fetch")
WRITE = AgentName("write")
DOCUMENT = "kind: http\nurl: https://fetch.test/\nin: { text: string }\nout: string\neffect: pure\n"
MODEL = (
    "kind: llm\nurl: https://llm.test/v1\nmodel: small\nprompt: '{{text}}'\ntools: [fetch]\n"
    "in: { text: string }\nout: string\neffect: pure\nkey: secret://env/KEY\n"
)
OTHER = Tenant("other")


class Own(Agent):
    """An agent of the project."""

    name = AgentName("own")
    signature = Signature(record({"text": STRING}), STRING, effect="pure")
    digest = Digest("o" * 64)

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        return AgentReply("own")


def roster(shelf: Shelf, **variables: str) -> Roster:
    secrets = Secrets(variables or {"KEY": "hush-hush"}).limited(("secret://env/KEY -> llm.test",))
    return Roster(shelf, Workshop(clock=SystemClock(), secrets=secrets, web=Web()), Registry([Own()]))


@pytest.fixture
def shelf() -> Shelf:
    return MemoryStore().shelf


def changed(version: str) -> str:
    return f"{DOCUMENT}version: '{version}'\n"


async def test_what_is_registered_can_be_linked_by_its_tenant_alone(shelf: Shelf) -> None:
    registered = roster(shelf)
    made = await registered.register(LOCAL, FETCH, DOCUMENT, "yaml", by="ana")
    assert (made.name, made.version, made.kind, made.source) == (FETCH, 1, "http", DOCUMENT)
    (linkable,) = (await registered.linkable(LOCAL)).values()
    assert (linkable.name, linkable.digest) == (FETCH, made.digest)
    assert await registered.linkable(OTHER) == {}
    assert await registered.version(OTHER, FETCH, made.digest) is None
    with pytest.raises(NotFound):
        await registered.find(OTHER, FETCH)
    await registered.close()


async def test_every_version_stays_findable_by_any_process(shelf: Shelf) -> None:
    first = roster(shelf)
    made = [await first.register(LOCAL, FETCH, changed(version), "yaml") for version in ("1", "2")]
    await first.remove(LOCAL, FETCH)
    for registered in (first, roster(shelf)):
        for each in made:
            agent = await registered.version(LOCAL, FETCH, each.digest)
            assert agent is not None
            assert agent.digest == each.digest
        assert await registered.all(LOCAL) == []


async def test_a_version_goes_on_with_the_tools_it_had(shelf: Shelf) -> None:
    registered = roster(shelf)
    await registered.register(LOCAL, FETCH, changed("1"), "yaml")
    model = await registered.register(LOCAL, WRITE, MODEL, "yaml")
    await registered.register(LOCAL, FETCH, changed("2"), "yaml")
    later = await registered.register(LOCAL, WRITE, MODEL, "yaml")
    assert model.digest != later.digest
    assert await roster(shelf).version(LOCAL, WRITE, model.digest) is not None


async def test_a_tool_that_is_not_there_is_told(shelf: Shelf) -> None:
    with pytest.raises(LinkError, match="has the tool 'fetch', which is not at hand"):
        await roster(shelf).register(LOCAL, WRITE, MODEL, "yaml")


async def test_a_secret_that_has_gone_does_not_keep_a_version_from_being_built(shelf: Shelf) -> None:
    await roster(shelf).register(LOCAL, FETCH, DOCUMENT, "yaml")
    made = await roster(shelf).register(LOCAL, WRITE, MODEL, "yaml")
    later = roster(shelf, OTHER="x")
    assert await later.version(LOCAL, WRITE, made.digest) is not None
    with pytest.raises(InvalidAgent):
        await later.register(LOCAL, WRITE, MODEL, "yaml")


@pytest.mark.parametrize(
    "document",
    [
        MODEL.replace("llm.test", "elsewhere.test"),
        f"{DOCUMENT}headers: {{ authorization: Bearer secret://env/KEY }}\n",
    ],
)
async def test_a_secret_goes_to_the_host_that_it_is_for_and_to_no_other(shelf: Shelf, document: str) -> None:
    registered = roster(shelf)
    await registered.register(LOCAL, FETCH, DOCUMENT, "yaml")
    await registered.register(LOCAL, WRITE, MODEL, "yaml")
    with pytest.raises(InvalidAgent) as told:
        await registered.register(LOCAL, WRITE, document, "yaml")
    (mistake,) = told.value.diagnostics
    assert "secret://env/KEY may not be used for " in str(mistake)


async def test_an_expected_version_guards_against_others(shelf: Shelf) -> None:
    registered = roster(shelf)
    await registered.register(LOCAL, FETCH, DOCUMENT, "yaml", expected=0)
    with pytest.raises(Conflict):
        await registered.register(LOCAL, FETCH, DOCUMENT, "yaml", expected=0)
    with pytest.raises(Conflict):
        await registered.remove(LOCAL, FETCH, expected=7)


async def test_names_of_the_project_are_taken(shelf: Shelf) -> None:
    with pytest.raises(Conflict, match="belongs to the project"):
        await roster(shelf).register(LOCAL, AgentName("own"), DOCUMENT, "yaml")


# Old versions.


def keeping(shelf: Shelf, linked: set[Digest]) -> Roster:
    async def may_be_called(tenant: Tenant) -> set[Digest]:
        return linked if tenant == LOCAL else set()

    workshop = Workshop(clock=SystemClock(), secrets=Secrets({"KEY": "hush-hush"}), web=Web())
    return Roster(shelf, workshop, Registry([Own()]), linked=may_be_called)


async def test_versions_that_nothing_can_call_make_room_for_others(shelf: Shelf) -> None:
    linked: set[Digest] = set()
    registered = keeping(shelf, linked)
    tool = await registered.register(LOCAL, FETCH, changed("0"), "yaml", quota=2)
    model = await registered.register(LOCAL, WRITE, MODEL, "yaml", quota=2)
    made = [await registered.register(LOCAL, FETCH, changed(str(n)), "yaml", quota=2) for n in range(1, 199)]
    linked.add(made[0].digest)
    last = await registered.register(LOCAL, FETCH, changed("199"), "yaml", quota=2)
    later = keeping(shelf, linked)
    kept = [await later.version(LOCAL, FETCH, each.digest) is not None for each in made]
    assert kept == [True] + [False] * 20 + [True] * 177
    for name, each in ((FETCH, tool), (WRITE, model), (FETCH, last)):
        assert await later.version(LOCAL, name, each.digest) is not None


async def test_where_all_versions_are_needed_there_is_no_room(shelf: Shelf) -> None:
    linked: set[Digest] = set()
    registered = keeping(shelf, linked)
    for number in range(100):
        made = await registered.register(LOCAL, FETCH, changed(str(number)), "yaml", quota=1)
        linked.add(made.digest)
    with pytest.raises(AgentQuota):
        await registered.register(LOCAL, FETCH, changed("100"), "yaml", quota=1)
