from __future__ import annotations

from typing import Any, Final

import pytest
from tests.http.stage import Client, check_problem

from stratarouter_runtime.ids import LOCAL
from stratarouter_runtime.routing.tables import Route, Table
from stratarouter_runtime.services.routers import Routers

RULES: Final = "/api/v1/routing/rules"
DECIDE: Final = "/api/v1/routing/decide"
ROUTED: Final = """tcfp: "1.0"
flow: routed
agents: [say, tell]
in: {query: string}
out: {by: string}
do:
  - id: r
    route: =query
    among: [say, tell]
    with: {text: =query}
return: {by: =r.by}
"""
TABLE: Final = Table(
    "agents",
    (
        Route("say", ("say it aloud", "say hello to everybody", "please say my name")),
        Route("tell", ("tell me a story", "tell the truth about it", "tell us a tale")),
    ),
)


def routers(client: Client) -> Routers:
    found = client.app.runtime.routers
    assert found is not None
    return found


async def promote(client: Client, table: Table = TABLE) -> str:
    made = routers(client)
    return await made.tables.add(LOCAL, await made.tables.fit(table), promote=True)


async def run(client: Client, query: str, **body: Any) -> dict[str, Any]:
    sent = {"workflow_id": "routed", "input": {"query": query}, **body}
    answer = await client.http.post("/api/v1/workflows/execute", json=sent)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_rules_are_added_replaced_and_taken_away(client: Client) -> None:
    first = {"name": "a", "agent": "say", "keywords": ["hello"]}
    second = {"name": "b", "agent": "tell", "when": "size(query) > 3", "priority": 5}
    added = await client.http.post(RULES, json={"rules": [first, second]})
    assert (added.status_code, added.json()) == (200, {"rules": [first, second]})
    changed = first | {"agent": "tell"}
    await client.http.post(RULES, json={"rules": [changed]})
    read = await client.http.get(RULES)
    assert read.json() == {"rules": [changed, second]}
    assert read.headers["etag"] == '"2"'
    left = await client.http.delete(f"{RULES}?name=a")
    assert left.json() == {"rules": [second]}
    assert (await client.http.delete(RULES)).json() == {"rules": []}


async def test_rules_of_another_version_are_not_overwritten(client: Client) -> None:
    body = {"rules": [{"name": "a", "agent": "say", "prefix": "x"}]}
    await client.http.post(RULES, json=body)
    for tag in ('"7"', '"x"', 'W/"1"', "1"):
        refused = await client.http.post(RULES, json=body, headers={"if-match": tag})
        check_problem(refused, 412, "precondition-failed")
        check_problem(await client.http.delete(RULES, headers={"if-match": tag}), 412, "precondition-failed")
    unwanted = await client.http.post(RULES, json=body, headers={"if-none-match": 'W/"1"'})
    check_problem(unwanted, 412, "precondition-failed")
    assert (await client.http.post(RULES, json=body, headers={"if-match": '"7", "1"'})).status_code == 200


async def test_rules_that_the_caller_has_are_not_told_again(client: Client) -> None:
    await client.http.post(RULES, json={"rules": [{"name": "a", "agent": "say", "prefix": "x"}]})
    same = await client.http.get(RULES, headers={"if-none-match": 'W/"1"'})
    assert (same.status_code, same.headers["etag"]) == (304, '"1"')
    assert (await client.http.get(RULES, headers={"if-none-match": '"0"'})).status_code == 200


@pytest.mark.parametrize("query", ["nmae=a", "name=a&x=1", "&".join(f"x{n}=1" for n in range(101))])
async def test_a_slip_in_a_query_takes_no_rule_away(quick: Client, query: str) -> None:
    await quick.http.post(RULES, json={"rules": [{"name": "a", "agent": "say", "prefix": "x"}]})
    check_problem(await quick.http.delete(f"{RULES}?{query}"), 422, "invalid-request")
    check_problem(await quick.http.delete(f"{RULES}?name="), 404, "not-found")
    assert len((await quick.http.get(RULES)).json()["rules"]) == 1


async def test_several_rules_are_taken_away_at_once(quick: Client) -> None:
    rules = [{"name": name, "agent": "say", "prefix": "x"} for name in ("a", "b", "c", "d")]
    await quick.http.post(RULES, json={"rules": rules})
    left = await quick.http.delete(f"{RULES}?name=a,b&name=d")
    assert left.json() == {"rules": [rules[2]]}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"name": "a", "agent": "sya", "prefix": "x"}, "there is no agent 'sya' (did you mean 'say'?)"),
        ({"name": "a", "agent": "say", "when": "size(query)"}, "the condition is a int, not a bool"),
        ({"name": "a", "agent": "say", "when": "qury == ''"}, "did you mean 'query'?"),
        ({"name": "a", "agent": "say", "pattern": "("}, "no RE2 pattern"),
        ({"name": "a", "agent": "say"}, "it has to be one"),
        ({"name": "-", "agent": "say", "prefix": "x"}, "its name has to be"),
        ({"name": "a", "agent": "say", "when": "input.n > 1", "input": {"n": "itn"}}, "itn"),
    ],
)
async def test_rules_that_cannot_be_used_are_refused(quick: Client, rule: dict[str, Any], told: str) -> None:
    refused = await quick.http.post(RULES, json={"rules": [rule]})
    assert told in check_problem(refused, 422, "invalid-input")["detail"]
    assert (await quick.http.get(RULES)).json() == {"rules": []}


async def test_a_decision_explains_itself(client: Client) -> None:
    digest = await promote(client)
    found = (await client.http.post(DECIDE, json={"query": "a story please"})).json()
    assert (found["route"], found["by"], found["runner_up"], found["table"]) == (
        "tell",
        "table",
        "say",
        digest,
    )
    assert found["margin"] > 0
    assert [each["route"] for each in found["candidates"]] == ["tell", "say"]


async def test_a_rule_is_looked_at_before_anything_is_weighed(client: Client) -> None:
    await promote(client)
    await client.http.post(
        RULES, json={"rules": [{"name": "stories", "agent": "say", "keywords": ["story"]}]}
    )
    found = (await client.http.post(DECIDE, json={"query": "a story please"})).json()
    assert (found["route"], found["by"], found["rule"]) == ("say", "rule", "stories")


@pytest.mark.parametrize("query", ["", "  \n", "x" * 70_000, "\ud800"])
async def test_queries_that_cannot_be_routed_are_refused(quick: Client, query: str) -> None:
    await promote(quick)
    refused = await quick.http.post(
        DECIDE, content=_json(query), headers={"content-type": "application/json"}
    )
    assert refused.status_code in {400, 422}
    check_problem(refused, refused.status_code, refused.json()["code"])


def _json(query: str) -> bytes:
    return b'{"query": "' + query.encode("utf-8", "surrogatepass").replace(b"\n", b"\\n") + b'"}'


async def test_a_query_is_a_text(quick: Client) -> None:
    check_problem(await quick.http.post(DECIDE, json={"query": 7}), 422, "invalid-request")


async def test_a_table_that_is_not_there_is_told(quick: Client) -> None:
    problem = check_problem(await quick.http.post(DECIDE, json={"query": "x"}), 404, "not-found")
    assert "strata routing fit" in problem["hint"]


async def test_a_flow_goes_by_the_table_that_was_promoted_when_it_was_deployed(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    before = await run(client, "tell the truth")
    assert "why" not in before["routing"][0]
    digest = await promote(client)
    await client.deploy("routed", ROUTED)
    after = await run(client, "tell the truth")
    assert after["plan"] != before["plan"]
    (decision,) = after["routing"]
    assert (decision["agent"], decision["by"]) == ("tell", "meaning")
    assert (decision["why"]["by"], decision["why"]["table"]) == ("table", digest)
    again = await client.http.post(f"/api/v1/executions/{after['execution_id']}/replay")
    assert again.json()["reproducible"] is True


async def test_a_rule_of_the_tenant_overrides_what_is_meant(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    rule = {
        "name": "vip",
        "agent": "say",
        "when": 'input.text.contains("truth")',
        "input": {"text": "string"},
    }
    await client.http.post(RULES, json={"rules": [rule]})
    found = await run(client, "tell the truth", routing={"route_id": "tell", "confidence": 1.0})
    (decision,) = found["routing"]
    assert (decision["agent"], decision["by"], decision["why"]["rule"]) == ("say", "tenant", "vip")
    again = await client.http.post(f"/api/v1/executions/{found['execution_id']}/replay")
    assert again.json()["reproducible"] is True


async def test_what_core_decided_takes_the_place_of_meaning(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    given = {"route_id": "say", "confidence": 0.9, "scores": {"semantic": 0.9}, "latency_ms": 0.4}
    found = await run(client, "tell the truth", routing=given)
    (decision,) = found["routing"]
    assert (decision["agent"], decision["by"], decision["scores"]) == ("say", "core", [])
    assert decision["why"]["confidence"] == 0.9
    again = await client.http.post(f"/api/v1/executions/{found['execution_id']}/replay")
    assert again.json()["reproducible"] is True


async def test_core_naming_nobody_known_is_noted_and_left(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    found = await run(client, "tell the truth", routing={"route_id": "ghost"})
    (decision,) = found["routing"]
    assert decision["by"] == "meaning"
    assert "ghost" in decision["why"]["note"]


async def test_one_key_is_for_one_decision_of_core(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    sent = {"workflow_id": "routed", "input": {"query": "q"}}
    key = {"idempotency-key": "k"}
    execute = "/api/v1/workflows/execute"
    await client.http.post(execute, json=sent | {"routing": {"route_id": "say"}}, headers=key)
    other = await client.http.post(execute, json=sent | {"routing": {"route_id": "tell"}}, headers=key)
    check_problem(other, 422, "idempotency-key-reused")


async def test_feedback_is_kept_with_what_was_asked(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    found = await run(client, "tell the truth")
    path = f"/api/v1/executions/{found['execution_id']}/feedback"
    said = await client.http.post(path, json={"route": "wrong", "should": "say", "answer": "good"})
    assert said.status_code == 201
    assert said.json() == {"execution_id": found["execution_id"], "chosen": "tell", "belongs": "say"}
    (remark,) = await client.app.runtime.feedback.all(LOCAL)
    assert (remark.query, remark.belongs, remark.said.answer) == ("tell the truth", "say", "good")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "nothing is said"),
        ({"answer": "good", "should": "say"}, "of a wrong route"),
        ({"route": "right", "step": "9"}, "chose nobody"),
    ],
)
async def test_feedback_that_says_nothing_is_refused(quick: Client, said: dict[str, Any], told: str) -> None:
    await quick.deploy("routed", ROUTED)
    found = await run(quick, "tell the truth")
    refused = await quick.http.post(f"/api/v1/executions/{found['execution_id']}/feedback", json=said)
    assert told in check_problem(refused, 422, "invalid-input")["detail"]


TABLES: Final = "/api/v1/routing/tables"
WRITTEN: Final = {
    "routes": [
        {"name": "say", "utterances": ["say it aloud", "say hello", "please say my name"]},
        {"name": "tell", "utterances": ["tell me a story", "tell the truth", "tell us a tale"]},
    ]
}


async def test_a_table_is_uploaded_read_and_promoted(client: Client) -> None:
    made = await client.http.put(f"{TABLES}/agents", json=WRITTEN)
    assert made.status_code == 201, made.text
    version = made.json()["version"]
    assert made.headers["location"] == f"{TABLES}/agents"
    assert (made.json()["promoted"], made.json()["versions"]) == (None, [version])
    assert made.json()["report"]["queries"] == 6
    check_problem(await client.http.post(DECIDE, json={"query": "a story"}), 404, "not-found")
    promoted = await client.http.post(f"{TABLES}/agents/promote", json={"version": version[:8]})
    assert (promoted.status_code, promoted.json()["promoted"]) == (200, version)
    assert (await client.http.post(DECIDE, json={"query": "a story"})).json()["route"] == "tell"
    read = await client.http.get(f"{TABLES}/agents?version={version[:12]}")
    assert {"routes": read.json()["routes"]} == WRITTEN
    listed = (await client.http.get(TABLES)).json()
    assert listed["tables"] == [{"name": "agents", "promoted": version, "versions": [version]}]


async def test_a_version_is_added_beside_those_before(client: Client) -> None:
    first = (await client.http.put(f"{TABLES}/agents", json=WRITTEN | {"promote": True})).json()["version"]
    changed = WRITTEN | {"none": ["what is the weather"]}
    second = await client.http.put(f"{TABLES}/agents", json=changed)
    assert second.status_code == 200
    assert second.json()["versions"] == [first, second.json()["version"]]
    assert (await client.http.get(f"{TABLES}/agents")).json()["version"] == first
    again = await client.http.put(f"{TABLES}/agents", json=changed)
    assert again.json()["versions"] == second.json()["versions"]


async def test_conditions_guard_a_table(client: Client) -> None:
    path = f"{TABLES}/agents"
    check_problem(
        await client.http.put(path, json=WRITTEN, headers={"if-match": '"1"'}), 412, "precondition-failed"
    )
    made = await client.http.put(path, json=WRITTEN, headers={"if-none-match": "*"})
    tag = made.headers["etag"]
    assert (await client.http.get(path, headers={"if-none-match": tag})).status_code == 304
    check_problem(
        await client.http.put(path, json=WRITTEN, headers={"if-none-match": "*"}), 412, "precondition-failed"
    )
    version = {"version": made.json()["version"]}
    after = await client.http.post(f"{path}/promote", json=version, headers={"if-match": tag})
    assert after.status_code == 200
    late = await client.http.post(f"{path}/promote", json=version, headers={"if-match": tag})
    check_problem(late, 412, "precondition-failed")


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("agents", {"routes": []}, "it has no routes"),
        ("-", WRITTEN, "its name has to be"),
        ("agents", {"routes": [{"name": "a"}]}, "has neither utterances nor a description"),
        ("agents", {"routes": WRITTEN["routes"] * 2}, "2 routes are called 'say'"),
        ("agents", WRITTEN | {"none": ["say hello"]}, "is an example of 'say' and of 'none'"),
        ("agents", WRITTEN | {"none": [" "]}, "none has an utterance without text"),
    ],
)
async def test_tables_that_cannot_be_used_are_refused(
    quick: Client, name: str, body: dict[str, Any], told: str
) -> None:
    refused = await quick.http.put(f"{TABLES}/{name}", json=body)
    assert told in check_problem(refused, 422, "invalid-input")["detail"]
    assert (await quick.http.get(TABLES)).json()["tables"] == []


async def test_tables_that_are_not_there_are_said_not_to_be(quick: Client) -> None:
    check_problem(await quick.http.get(f"{TABLES}/none"), 404, "not-found")
    refused = await quick.http.post(f"{TABLES}/none/promote", json={"version": "0" * 64})
    check_problem(refused, 404, "not-found")


async def test_tables_are_listed_page_by_page(quick: Client) -> None:
    for name in ("a", "b", "c"):
        await quick.http.put(f"{TABLES}/{name}", json=WRITTEN)
    first = await quick.http.get(f"{TABLES}?limit=2")
    assert [one["name"] for one in first.json()["tables"]] == ["a", "b"]
    rest = await quick.http.get(f"{TABLES}?limit=2&cursor={first.json()['next_cursor']}")
    assert [one["name"] for one in rest.json()["tables"]] == ["c"]
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (RULES, {"rules": [{"name": "a", "agent": "nobody", "keywords": ["x"]}]}, "/rules"),
        (DECIDE, {"query": ""}, "/query"),
    ],
)
async def test_what_does_not_fit_is_told_at_its_place_in_the_body(
    client: Client, path: str, body: dict[str, Any], pointer: str
) -> None:
    await promote(client)
    problem = check_problem(await client.http.post(path, json=body), 422, "invalid-input")
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
