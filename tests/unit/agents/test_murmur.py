from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.agents.murmur import Murmur
from stratarouter_runtime.agents.secrets import Secrets

SECRET = "sk-hush-hush"  # noqa: S105 - of this test
SPACED = "correct horse battery"
LONG = "k" * 40 + "-" + "v" * 6_000
OVERLAPPING = "horse"


async def murmur(*values: str) -> tuple[Murmur, list[str]]:
    named = {f"T{index}": value for index, value in enumerate(values or (SECRET,))}
    secrets, heard = Secrets(named), list[str]()
    for name in named:
        await secrets.fill(f"secret://env/{name}")
    return Murmur(secrets, heard.append), heard


@given(st.lists(st.sampled_from(["a", " ", "\n", "long", "b c"])))
def test_everything_goes_on_in_order(pieces: list[str]) -> None:
    heard: list[str] = []
    words = Murmur(Secrets({}), heard.append)
    for piece in pieces:
        words.hear(piece)
    words.end()
    assert "".join(heard) == "".join(pieces)


async def test_words_go_on_when_they_are_whole() -> None:
    words, heard = await murmur()
    for piece in ("It ", "ra", "ins to", "day", "."):
        words.hear(piece)
    assert heard == ["It ", "rains "]
    words.end()
    assert heard == ["It ", "rains ", "today."]


@pytest.mark.parametrize("secret", [SECRET, SPACED, LONG])
@pytest.mark.parametrize("size", [1, 7, 4_096])
async def test_a_secret_in_pieces_does_not_get_past(secret: str, size: int) -> None:
    words, heard = await murmur(SECRET, SPACED, LONG)
    said = f"the key is {secret}, keep it"
    for start in range(0, len(said), size):
        words.hear(said[start : start + size])
    words.end()
    assert "".join(heard) == "the key is [secret], keep it"


@given(st.lists(st.sampled_from(["correct", " ", "horse", "battery", " corr", "ect h", "orse batt", "e"])))
def test_what_comes_in_pieces_is_what_comes_whole(pieces: list[str]) -> None:
    secrets, heard = Secrets({"A": SPACED, "B": OVERLAPPING}), list[str]()
    secrets.read("secret://env/A secret://env/B")
    words = Murmur(secrets, heard.append)
    for piece in pieces:
        words.hear(piece)
    words.end()
    assert "".join(heard) == secrets.scrub("".join(pieces))


async def test_what_has_no_end_is_not_held_for_ever() -> None:
    words, heard = await murmur()
    words.hear("x" * 5_000)
    assert heard == ["x" * 5_000]
