from __future__ import annotations

from typing_extensions import override

from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.recent import Recent
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName, Digest, Tenant
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import STRING, record

MINE, OTHER = Tenant("mine"), Tenant("other")
NAME = AgentName("a")


class Held(Agent):
    """An agent that holds something."""

    name = NAME
    signature = Signature(record({}), STRING, effect="pure")

    def __init__(self, digest: str) -> None:
        self.digest = Digest(digest)
        self.closed = False

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        return AgentReply("held")

    async def close(self) -> None:
        self.closed = True


async def keep(recent: Recent, tenant: Tenant, digest: str) -> Held:
    held = Held(digest)
    await recent.put(tenant, Fenced(held, Workshop(SystemClock(), Secrets({}), Web())))
    return held


def known(recent: Recent, tenant: Tenant) -> str:
    return "".join(each for each in "abcdef" if recent.get(tenant, NAME, Digest(each)) is not None)


async def test_who_has_the_most_makes_room_for_others() -> None:
    recent = Recent(3)
    first = await keep(recent, OTHER, "a")
    for digest in "bcdef":
        await keep(recent, MINE, digest)
    assert (known(recent, OTHER), known(recent, MINE)) == ("a", "ef")
    assert not first.closed


async def test_what_was_used_longest_ago_goes_and_lets_go_of_what_it_holds() -> None:
    recent = Recent(2)
    first, second = [await keep(recent, MINE, digest) for digest in "ab"]
    assert recent.get(MINE, NAME, Digest("a")) is not None
    await keep(recent, MINE, "c")
    assert (known(recent, MINE), first.closed, second.closed) == ("ac", False, True)


async def test_the_same_version_is_kept_once() -> None:
    recent = Recent(2)
    workshop = Workshop(SystemClock(), Secrets({}), Web())
    first, again = (Fenced(Held("a"), workshop) for _ in range(2))
    assert await recent.put(MINE, first) is first
    assert await recent.put(MINE, again) is first


async def test_closing_closes_all() -> None:
    recent = Recent()
    held = [await keep(recent, tenant, "a") for tenant in (MINE, OTHER)]
    await recent.close()
    assert [each.closed for each in held] == [True, True]
    assert known(recent, MINE) == ""
