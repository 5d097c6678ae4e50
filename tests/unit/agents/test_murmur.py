from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.agents.murmur import Murmur
from stratarouter_runtime.agents.secrets import Secrets

SECRET = "sk-hush-hush"  # noqa: S105 - of this test


async def murmur() -> tuple[Murmur, list[str]]:
    secrets, heard = Secrets({"T": SECRET}), list[str]()
    await secrets.fill("secret://env/T")
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


async def test_a_secret_in_pieces_does_not_get_past() -> None:
    words, heard = await murmur()
    for sign in f"the key is {SECRET}, keep it":
        words.hear(sign)
    words.end()
    assert "".join(heard) == "the key is [secret], keep it"


async def test_what_has_no_end_is_not_held_for_ever() -> None:
    words, heard = await murmur()
    words.hear("x" * 5_000)
    assert heard == ["x" * 5_000]
