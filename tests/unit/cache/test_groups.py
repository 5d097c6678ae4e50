from __future__ import annotations

from stratarouter_runtime.cache.answers import Answer
from stratarouter_runtime.cache.front import Front, Held
from stratarouter_runtime.cache.groups import Group, Groups
from stratarouter_runtime.cache.matrix import Matrix
from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId

VECTOR = b"\x00\x00\x80\x3f" + b"\x00" * (4 * 383)
ROOM = 1_000_000


def entry(number: int, group: str, output: int = 10) -> Held:
    answer = Answer(b"x" * output, (f"text {number}",), VECTOR)
    return Held(
        LOCAL, Digest(f"{number:064d}"), "flow:t", group, ExecutionId("exec_1"), number, 9, (), answer
    )


def taken(groups: Groups, names: list[str]) -> int:
    """The bytes of those that are held."""
    return sum(group.size for name in names if (group := groups.get(LOCAL, name)) is not None)


def test_many_small_groups_stay_within_their_room() -> None:
    groups, names = Groups(ROOM), [f"g{number}" for number in range(2_000)]
    for number, name in enumerate(names):
        groups.put(LOCAL, "flow:t", name, Group((), Matrix()))
        groups.add(entry(number, name))
        assert groups.size <= ROOM
    assert groups.size == taken(groups, names)
    assert groups.get(LOCAL, names[-1]) is not None
    assert groups.get(LOCAL, names[0]) is None


def test_one_group_that_grows_lets_go_of_its_oldest() -> None:
    groups = Groups(ROOM)
    group = groups.put(LOCAL, "flow:t", "g", Group((), Matrix()))
    for number in range(100):
        groups.add(entry(number, "g", 100_000))
        assert groups.size <= ROOM
    assert group.same(("text 99",)) is not None
    assert group.same(("text 0",)) is None
    assert [held.key for held, _ in group.nearest(VECTOR, 0.9, 1)]


def test_what_is_larger_than_all_room_is_held_by_nothing() -> None:
    groups = Groups(ROOM)
    group = groups.put(LOCAL, "flow:t", "g", Group((), Matrix()))
    groups.add(entry(1, "g", 2 * ROOM))
    assert group.same(("text 1",)) is None
    front = Front(ROOM)
    front.put(entry(1, "g", ROOM))
    assert (len(front), front.bytes) == (0, 0)


def test_what_is_let_go_of_by_its_space_takes_nothing_any_more() -> None:
    groups = Groups(ROOM)
    for number in range(10):
        groups.put(LOCAL, "flow:t", f"g{number}", Group([entry(number, f"g{number}")], Matrix()))
    groups.drop_of(LOCAL, "flow:t")
    assert groups.size == 0
