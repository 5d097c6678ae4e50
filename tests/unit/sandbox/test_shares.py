"""Who is next, and who has to wait: fair between tenants by what they reserve."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.sandbox.governor.shares import (
    Demand,
    Room,
    Shares,
    fits,
    following,
    give_back,
    grant,
    make_room,
    offer,
    withdraw,
)

ALL = Room(1000, 100)


def demand(number: int, tenant: str = "a", cpu: int = 1000, memory: int = 10, cost: float = 1.0) -> Demand:
    return Demand(number, tenant, Room(cpu, memory), cost)


def granted(shares: Shares) -> Demand | None:
    """What is next, granted where there is room."""
    found = following(shares)
    if found is None or not fits(shares, found):
        return None
    grant(shares, found)
    return found


def test_what_is_more_than_there_is_is_refused_at_once() -> None:
    shares = Shares(ALL, 10)
    assert offer(shares, demand(1, cpu=1001)) == "cpu"
    assert offer(shares, demand(1, memory=101)) == "memory"
    assert following(shares) is None


def test_the_queue_is_bounded() -> None:
    shares = Shares(ALL, 2)
    assert [offer(shares, demand(number)) for number in range(3)] == [None, None, "queue"]


def test_only_who_has_two_more_makes_way() -> None:
    shares = Shares(ALL, 4)
    for number, tenant in enumerate("aaab"):
        offer(shares, demand(number, tenant))
    assert make_room(shares, "a") is None
    last = make_room(shares, "b")
    assert last is not None
    assert (last.number, last.tenant, shares.length) == (2, "a", 3)
    assert offer(shares, demand(4, "b")) is None
    assert make_room(shares, "b") is None
    assert make_room(Shares(ALL, 0), "a") is None


def test_one_tenant_is_served_in_order() -> None:
    shares = Shares(ALL, 10)
    for number in range(3):
        offer(shares, demand(number))
    served = []
    while (found := granted(shares)) is not None:
        served.append(found.number)
        give_back(shares, found.room)
    assert served == [0, 1, 2]


def test_nobody_is_passed_over_for_want_of_room() -> None:
    shares = Shares(ALL, 10)
    offer(shares, demand(1, "a", cpu=600))
    offer(shares, demand(2, "b", cpu=600))
    offer(shares, demand(3, "c", cpu=100))
    assert granted(shares) == demand(1, "a", cpu=600)
    assert granted(shares) is None
    give_back(shares, Room(600, 10))
    assert granted(shares) == demand(2, "b", cpu=600)


def test_a_tenant_that_asks_for_much_holds_up_nobody() -> None:
    """One tenant's calls cost ten times another's: it gets a tenth as many, and the other waits for one at most."""
    shares = Shares(ALL, 1_000)
    for number in range(100):
        offer(shares, demand(number, "heavy", cost=10.0))
        offer(shares, demand(number, "light", cost=1.0))
    served: list[str] = []
    for _ in range(44):
        found = granted(shares)
        assert found is not None
        served.append(found.tenant)
        give_back(shares, found.room)
    assert Counter(served) == {"light": 40, "heavy": 4}


def test_who_gives_up_leaves_the_queue() -> None:
    shares = Shares(ALL, 10)
    offer(shares, demand(1))
    offer(shares, demand(2))
    withdraw(shares, demand(1))
    assert granted(shares) == demand(2)
    assert following(shares) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "take", "return", "leave"]),
        st.sampled_from("abc"),
        st.integers(1, 1200),
        st.integers(0, 120),
        st.floats(0.001, 100),
    ),
    max_size=60,
)


@given(STEPS)
def test_nothing_is_given_twice_and_nothing_is_lost(  # noqa: C901 - one branch a kind of step
    steps: list[tuple[str, str, int, int, float]],
) -> None:
    shares, out, waiting = Shares(ALL, 20), [], []
    for number, (what, tenant, cpu, memory, cost) in enumerate(steps):
        if what == "offer":
            made = demand(number, tenant, cpu, memory, cost)
            if offer(shares, made) is None:
                waiting.append(made)
        elif what == "take" and (found := granted(shares)) is not None:
            waiting.remove(found)
            out.append(found)
        elif what == "return" and out:
            give_back(shares, out.pop().room)
        elif what == "leave" and waiting:
            withdraw(shares, waiting.pop())
        assert shares.length == len(waiting) == sum(map(len, shares.waiting.values()))
        assert set(shares.turn) == set(shares.waiting) == set(shares.deficits)
        assert shares.free.cpu == ALL.cpu - sum(each.room.cpu for each in out) >= 0
        assert shares.free.memory == ALL.memory - sum(each.room.memory for each in out) >= 0
    while out:
        give_back(shares, out.pop().room)
    while (found := granted(shares)) is not None:
        give_back(shares, found.room)
        waiting.remove(found)
    assert not waiting
