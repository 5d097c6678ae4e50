from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from stratarouter_runtime.agents.secrets import HIDDEN, SecretMissing, Secrets
from stratarouter_runtime.ports import AgentReply
from stratarouter_runtime.state.events import Failure

SET = {"TOKEN": "p@ss/word", "LONGER": "p@ss/word-2", "SHORT": "abc"}


async def given(*names: str) -> Secrets:
    secrets = Secrets(SET)
    for name in names:
        await secrets.fill(f"secret://env/{name}")
    return secrets


async def test_references_are_filled_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    written = f"Bearer secret://env/TOKEN and secret://file{file}"
    assert await Secrets(SET).fill(written) == "Bearer p@ss/word and from-file"
    assert await Secrets(SET).fill("nothing to fill") == "nothing to fill"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("secret://env/NONE", "the variable NONE is not set"),
        ("secret://env/SHORT", "secret://env/SHORT is too short to be kept secret: 4 characters at least"),
        ("secret://file/no/such", "secret://file/no/such cannot be read: No such file or directory"),
        ("secret://file/proc", "secret://file/proc cannot be read: Is a directory"),
        ("secret://file/dev/zero", "secret://file/dev/zero is larger than a secret: 65,536 bytes at most"),
    ],
)
async def test_what_cannot_be_resolved_is_named_without_a_value(reference: str, said: str) -> None:
    assert Secrets(SET).problem(f"Bearer {reference}") == said
    with pytest.raises(SecretMissing, match=said):
        await Secrets(SET).fill(reference)


async def test_only_what_is_allowed_is_resolved() -> None:
    limited = Secrets(SET).limited(("secret://env/TO*",))
    assert await limited.fill("secret://env/TOKEN") == "p@ss/word"
    assert limited.problem("secret://env/LONGER") == "secret://env/LONGER may not be used here"
    assert limited.problem("secret://file/etc/hostname") == "secret://file/etc/hostname may not be used here"


async def test_what_was_given_out_is_found_at_any_depth_and_in_any_spelling() -> None:
    secrets = await given("TOKEN", "LONGER")
    coded = b64encode(b"p@ss/word").decode()
    said = {
        "a": ["x p@ss/word y", {"p@ss/word-2": 1}],
        "b": b"p@ss/word",
        "c": f"{coded} p%40ss%2Fword",
        "d": 2,
    }
    assert secrets.scrub(said) == {
        "a": [f"x {HIDDEN} y", {HIDDEN: 1}],
        "b": HIDDEN.encode(),
        "c": f"{HIDDEN}{coded[-1]} {HIDDEN}",
        "d": 2,
    }


async def test_what_limited_secrets_gave_out_is_found_by_all() -> None:
    secrets = await given()
    assert secrets.scrub("p@ss/word") == "p@ss/word"
    await secrets.limited(("*",)).fill("secret://env/TOKEN")
    assert secrets.scrub("p@ss/word") == HIDDEN
    assert "p@ss" not in repr(secrets)


async def test_replies_are_scrubbed_whole() -> None:
    secrets = await given("TOKEN")
    failure = Failure("agent.refused", "no: p@ss/word", {"sent": "p@ss/word"})
    hidden = Failure("agent.refused", f"no: {HIDDEN}", {"sent": HIDDEN})
    assert secrets.scrub_reply(AgentReply("p@ss/word")) == AgentReply(HIDDEN)
    assert secrets.scrub_reply(AgentReply(failure=failure)) == AgentReply(failure=hidden)
