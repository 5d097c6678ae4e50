from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from stratarouter_runtime.agents.headers import filled
from stratarouter_runtime.agents.secrets import SecretMissing, Secrets
from stratarouter_runtime.agents.spellings import HIDDEN
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
        (
            "secret://file/etc/./hostname",
            "secret://file/etc/./hostname has to say where it lies without '.', '..' and '//'",
        ),
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


@pytest.mark.parametrize(
    "way", ["mine/../theirs/token", "mine//../theirs/token", "mine/./token", "mine/link"]
)
def test_what_lies_elsewhere_is_not_reached_by_another_way(tmp_path: Path, way: str) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text("hush-hush")
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "theirs" / "token")
    limited = Secrets({}).limited((f"secret://file{tmp_path}/mine/*",))
    assert limited.problem(f"secret://file{tmp_path}/mine/token") == ""
    assert limited.problem(f"secret://file{tmp_path}/{way}")


@pytest.mark.parametrize("pattern", ["here/*", "here/token"])
def test_a_folder_that_is_a_link_itself_is_followed(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "there" / "newest").mkdir(parents=True)
    (tmp_path / "there" / "newest" / "token").write_text("hush-hush")
    (tmp_path / "there" / "token").symlink_to(tmp_path / "there" / "newest" / "token")
    (tmp_path / "here").symlink_to(tmp_path / "there")
    limited = Secrets({}).limited((f"secret://file{tmp_path}/{pattern}",))
    assert limited.problem(f"secret://file{tmp_path}/here/token") == ""


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    reference = f"secret://file{tmp_path}/a"
    assert Secrets({}).problem(reference) == f"{reference} cannot be read: links in a circle"


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("api.example", ""),
        ("API.example", ""),
        ("evil.example", "secret://env/TOKEN may not be used for evil.example"),
        ("", "secret://env/TOKEN may not be used for this"),
    ],
)
def test_a_secret_can_be_for_one_host_alone(host: str, problem: str) -> None:
    limited = Secrets(SET).limited(("secret://env/TOKEN -> Api.example", "secret://env/LONGER"))
    assert limited.towards(host).problem("secret://env/TOKEN") == problem
    assert limited.towards(host).problem("secret://env/LONGER") == ""


def test_limits_of_limits_only_get_narrower() -> None:
    limited = Secrets(SET).limited(("secret://env/TO*",)).limited(("*",))
    assert limited.problem("secret://env/TOKEN") == ""
    assert limited.problem("secret://env/LONGER")


@pytest.mark.parametrize("sign", ["\n", "\0", "\x7f", "€", "é"])
async def test_a_secret_that_no_header_can_carry_is_not_sent(sign: str) -> None:
    secrets = Secrets({"TOKEN": f"hush{sign}hush"})
    with pytest.raises(SecretMissing) as told:
        await filled({"x-key": "Bearer secret://env/TOKEN"}, secrets)
    assert str(told.value) == "the secret of the header 'x-key' has what no header can carry"


@pytest.mark.parametrize("value", ["two\nlines", 'say "hush"', "don't say", "hüsh €", "a b&c", "back\\slash"])
async def test_what_was_given_out_is_found_as_messages_and_documents_spell_it(value: str) -> None:
    secrets = Secrets({"T": value})
    await secrets.fill("secret://env/T")
    for spelled in (
        repr(value)[1:-1],
        repr(value.encode())[2:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    ):
        assert secrets.scrub(f"<{spelled}>") == f"<{HIDDEN}>"
    assert secrets.scrub(value.encode()) == HIDDEN.encode()


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
