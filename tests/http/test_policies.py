"""Policies and quotas of agents over HTTP, and budgets over flows that call flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.http.stage import ECHO, PRIVATE, Client, check_problem, running
from tests.http.test_agents import AGENTS, FLOW, PERMISSIVE, Service, document, put
from tests.http.test_limits import ANN, tier

from stratarouter_runtime.ids import LOCAL, FlowId, Tenant
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Allowance, Budget, Started
from stratarouter_runtime.tenancy.policies import Policy

MODEL = """kind: llm
url: https://llm.test/v1
model: large
prompt: "{{text}}"
in: { text: string }
out: string
effect: pure
"""


async def policy(client: Client, tenant: Tenant = LOCAL, **allowed: Any) -> None:
    await client.app.tenancy.policies.set(tenant, Policy(**allowed), by="test")


@pytest.mark.parametrize(
    ("allowed", "text", "told"),
    [
        ({"kinds": ["llm"]}, document("https://a.test/x"), "fetch: kind is http, allowed are: llm"),
        ({"hosts": ["b.test"]}, document("https://a.test/x"), "fetch: host is a.test, allowed are: b.test"),
        ({"models": ["small"]}, MODEL, "fetch: model is large, allowed are: small"),
    ],
    ids=["kinds", "hosts", "models"],
)
async def test_an_agent_that_a_policy_does_not_allow_is_not_registered(
    client: Client, allowed: dict[str, Any], text: str, told: str
) -> None:
    await policy(client, **allowed)
    problem = check_problem(await put(client, text), 403, "policy-refused")
    assert told in problem["detail"]
    assert (await client.http.get(f"{AGENTS}/fetch")).status_code == 404
    await policy(client)
    assert (await put(client, text)).status_code == 201


async def test_a_flow_is_not_linked_to_agents_that_a_policy_does_not_allow(client: Client) -> None:
    await policy(client, isolation="process")
    problem = check_problem(await client.deploy("echo", ECHO), 403, "policy-refused")
    assert "say: isolation is inline, at least process is demanded" in problem["detail"]
    await policy(client)
    assert (await client.deploy("echo", ECHO)).status_code == 201


async def test_a_policy_that_is_tightened_holds_for_what_is_deployed(client: Client) -> None:
    await client.deploy("echo", ECHO)
    assert (await client.execute("echo")).json()["status"] == "completed"
    await policy(client, kinds=["http"])
    failed = (await client.execute("echo", "again")).json()
    assert failed["error"]["kind"] == "policy"
    assert failed["error"]["message"] == (
        "say is not called: the policy of the tenant does not allow say: kind is python, allowed are: http"
    )
    assert len(client.stage.say.calls) == 1


async def test_the_policy_of_all_others_is_that_of_a_tenant_without_one(tmp_path: Path) -> None:
    async with tier(tmp_path) as client:
        await policy(client, Tenant("*"), kinds=["http"])
        check_problem(await client.deploy("echo", ECHO), 403, "policy-refused")
        await policy(client, ANN)
        assert (await client.deploy("echo", ECHO)).status_code == 201


async def test_a_change_of_policy_is_in_the_audit(client: Client) -> None:
    await policy(client, kinds=["http"])
    lines = await client.app.store.audit.lines()
    assert any("policy of tenant" in str(line) for line in lines)


async def test_never_more_agents_than_the_tier_allows(tmp_path: Path) -> None:
    async with tier(tmp_path, agents=2) as client:
        for name in ("one", "two"):
            assert (await put(client, document("https://a.test/x"), f"{AGENTS}/{name}")).status_code == 201
        refused = await put(client, document("https://a.test/x"), f"{AGENTS}/three")
        problem = check_problem(refused, 409, "agent-quota")
        assert "2" in problem["detail"]
        again = await put(client, document("https://a.test/y", version="2"), f"{AGENTS}/one")
        assert again.status_code == 200
        await client.http.delete(f"{AGENTS}/one")
        assert (await put(client, document("https://a.test/x"), f"{AGENTS}/three")).status_code == 201


# What callers register is shown.


@pytest.mark.parametrize(
    "more",
    [
        "headers: { authorization: Bearer sk-live-123456 }\n",
        "headers: { x-api-key: sk-live-123456 }\n",
        "headers: { x-api-key: sk-live-123456 secret://env/NOTHING }\n",
        "headers: { x-api-key: 'secret://env/NOTHING sk-live-123456' }\n",
    ],
)
async def test_what_is_secret_does_not_stand_in_headers(client: Client, more: str) -> None:
    problem = check_problem(await put(client, document("https://a.test/x", more)), 422, "invalid-agent")
    assert any(
        "does not stand in a document that others may read" in each["detail"] for each in problem["errors"]
    )
    assert "sk-live" not in str(problem["errors"])


@pytest.mark.parametrize(
    "url",
    [
        "https://me:sk-live@a.test/x",
        "https://a.test/x?api_key=sk-live",
        "https://a.test/x?a=1&access_token=z",
    ],
)
async def test_what_is_secret_does_not_stand_in_addresses(client: Client, url: str) -> None:
    problem = check_problem(await put(client, document(url)), 422, "invalid-agent")
    assert any("does not stand in an address" in each["detail"] for each in problem["errors"])


@pytest.mark.parametrize("more", ["headers: { accept-language: de, User-Agent: mine }\n", ""])
async def test_what_is_harmless_may_stand_there(client: Client, more: str) -> None:
    assert (await put(client, document("https://a.test/x?version=2", more))).status_code == 201


# Limits of a flow hold for whom it calls.

TALE = ECHO.replace("echo", "tale").replace("say", "tell").replace(
    "return: {answer: =a}",
    "".join(f"  - id: {n}\n    call: tell\n    with: {{text: =query}}\n" for n in "bc") + "return: {answer: =c}",
)  # fmt: skip
TELLER = """tcfp: "1.0"
flow: teller
agents: [tale]
limits: {hosts: [a.test]}
in: {query: string}
out: {answer: string}
do:
  - id: a
    call: tale
    with: {query: =query}
    retry: {max: 3, wait: 1s}
    catch: [{on: [agent], do: {let: {answer: caught}}}]
return: {answer: =a.answer}
"""


async def test_a_flow_that_is_called_has_what_its_caller_has_left(quick: Client) -> None:
    await quick.deploy("tale", TALE)
    await quick.deploy("teller", TELLER)
    ended = (await quick.execute("teller", budget={"usd": 0.003})).json()
    assert (ended["status"], ended["error"]["kind"]) == ("failed", "limit.usd")
    assert ended["cost"]["usd"] == "0.0042"
    rows = {row.flow: row for row in await quick.app.store.search()}
    first = decode((await quick.app.store.read(rows[FlowId("tale")].id))[0].body)
    assert isinstance(first, Started)
    assert (first.budget, first.allowed) == (Budget(0.003, None), Allowance(hosts=("a.test",)))
    assert len(rows) == 2


async def test_what_a_flow_allows_itself_is_its_own_affair(quick: Client) -> None:
    await quick.deploy("tale", TALE.replace("in: {query", "limits: {usd: 0.003}\nin: {query"))
    await quick.deploy("teller", TELLER)
    ended = (await quick.execute("teller", budget={"usd": 1.0})).json()
    assert (ended["status"], ended["output"]) == ("completed", {"answer": "caught"})


async def test_a_host_that_limits_do_not_allow_is_refused_when_a_flow_is_deployed(quick: Client) -> None:
    await put(quick, document("https://b.test/x"))
    declared = FLOW.replace(
        "agents: [fetch]",
        "agents:\n  fetch: {in: {text: string}, out: string, effect: pure}\nlimits: {hosts: [a.test]}",
    )
    problem = check_problem(await quick.deploy("fetching", declared), 422, "invalid-flow")
    assert "E341" in str(problem["errors"])
    assert (await quick.deploy("fetching", declared.replace("a.test", "b.test"))).status_code == 201


async def test_hosts_that_a_policy_forbids_are_not_connected_to_any_more() -> None:
    async with running(settings=PERMISSIVE) as client:
        service = Service("hi")
        url = await service.start()
        assert (await put(client, document(url))).status_code == 201
        await client.deploy("fetching", FLOW)
        assert (await client.execute("fetching")).json()["output"] == {"answer": "hi"}
        await policy(client, hosts=["a.test"])
        failed = (await client.execute("fetching", "again")).json()
        assert failed["error"]["kind"] == "policy"
        assert "host is 127.0.0.1, allowed are: a.test" in failed["error"]["message"]
        assert len(service.heads) == 1
        service.server.close()


# Labels.


async def test_nothing_that_carries_a_label_is_shown(quick: Client, caplog: pytest.LogCaptureFixture) -> None:
    await quick.deploy("private", PRIVATE)
    ended = (await quick.execute("private", "078-05-1120")).json()
    assert ended["status"] == "completed"
    told = "078-05-1120".upper()
    events = await quick.http.get(f"/api/v1/executions/{ended['execution_id']}/events")
    shown = [fact for fact in events.text.split("\n\n") if '"returned"' in fact]
    assert shown
    assert not any(told in fact for fact in shown)
    assert told not in (await quick.http.get("/metrics")).text
    assert told not in caplog.text
