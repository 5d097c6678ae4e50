"""Policies of tenants: kept, found, changed, and what they refuse."""

from __future__ import annotations

import pytest
from tests.clocks import Hand

from stratarouter_runtime.errors import InvalidInput, NotFound
from stratarouter_runtime.freshness import FRESH
from stratarouter_runtime.ids import LOCAL, OPERATOR, Tenant
from stratarouter_runtime.limits.policies import KIND, OTHERS, Policies
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.tenancy.policies import EVERYTHING, Manner, Policy, faults

ANN, BEN = Tenant("ann"), Tenant("ben")
STRICT = Policy(isolation="sandbox", kinds=("wasm",), hosts=(), models=("small",))


def policies() -> Policies:
    return Policies(MemoryStore().shelf, Hand())


async def test_a_tenant_has_its_own_policy_or_that_of_all_others_or_none() -> None:
    found = policies()
    assert await found.policy(ANN) == EVERYTHING
    await found.set(OTHERS, STRICT, by="test")
    await found.set(ANN, Policy(kinds=("http",)), by="test")
    assert await found.policy(ANN) == Policy(kinds=("http",))
    assert await found.policy(BEN) == STRICT
    assert await found.policy(LOCAL) == EVERYTHING


async def test_a_policy_that_allows_everything_is_known_at_a_glance() -> None:
    found = policies()
    await found.set(ANN, Policy(), by="test")
    assert await found.policy(ANN) is EVERYTHING


async def test_a_policy_that_is_cleared_holds_no_more() -> None:
    found = policies()
    await found.set(ANN, STRICT, by="test")
    await found.clear(ANN, by="test")
    assert await found.policy(ANN) == EVERYTHING
    with pytest.raises(NotFound, match="'ann' has no policy of its own"):
        await found.clear(ANN, by="test")


async def test_what_another_process_changes_is_known_within_a_moment() -> None:
    shelf, clock = MemoryStore().shelf, Hand()
    here, there = Policies(shelf, clock), Policies(shelf, clock)
    assert await here.policy(ANN) == EVERYTHING
    await there.set(ANN, STRICT, by="test")
    clock.at += FRESH
    assert await here.policy(ANN) == STRICT


async def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no kind of agent 'htp'"):
        await policies().set(ANN, Policy(kinds=("http", "htp")), by="test")


@pytest.mark.parametrize("name", ["Ann", "", OPERATOR, "**"])
async def test_not_everything_is_a_tenant(name: str) -> None:
    with pytest.raises(InvalidInput):
        await policies().set(Tenant(name), STRICT, by="test")


async def test_a_policy_of_a_later_version_is_not_taken_for_a_milder_one() -> None:
    shelf = MemoryStore().shelf
    await shelf.put(OPERATOR, KIND, ANN, b'{"kinds": ["http"], "regions": ["eu"]}', at=1)
    with pytest.raises(ValueError, match="regions"):
        await Policies(shelf, Hand()).policy(ANN)


@pytest.mark.parametrize(
    ("policy", "manner", "told"),
    [
        (EVERYTHING, Manner("a", "python", "inline", ("x.test",), "large"), []),
        (STRICT, Manner("a", "wasm", "wasm"), []),
        (STRICT, Manner("f", "flow"), []),
        (
            STRICT,
            Manner("a", "llm", "", ("x.test",), "large"),
            [
                "a: kind is llm, allowed are: wasm",
                "a: host is x.test, allowed are: none",
                "a: model is large, allowed are: small",
            ],
        ),
        (Policy(isolation="process"), Manner("a", "python", "process"), []),
        (
            Policy(isolation="process"),
            Manner("a", "llm", uses=(Manner("b", "python", "inline"),)),
            ["b: isolation is inline, at least process is demanded"],
        ),
    ],
)
def test_every_fault_is_told_with_its_value_and_its_limit(
    policy: Policy, manner: Manner, told: list[str]
) -> None:
    assert list(faults(policy, manner)) == told
