from __future__ import annotations

from pathlib import Path

import pytest

from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.http import Endpoint, Service
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.types import STRING, record, show

SET = {"BANK_TOKEN": "hush"}

DOCUMENT = """\
types:
  Reply: { text: string, tags: list<string> }
agents:
  pay:
    kind: http
    url: https://bank.test/pay
    version: "3"
    headers: { authorization: secret://env/BANK_TOKEN, x-team: shop }
    in: { who: string }
    out: Reply
    effect: idempotent
    errors: [card_declined]
    time: 5s
  look: { kind: http, url: "http://localhost:8000/look", in: { who: string }, out: string? }
"""


def read(folder: Path, text: str, variables: dict[str, str] | None = None) -> list[Service]:
    path = folder / "agents.yaml"
    path.write_text(text)
    found = read_declared(path, Secrets(variables or {}))
    assert all(isinstance(blueprint, Service) for blueprint in found)
    return [blueprint for blueprint in found if isinstance(blueprint, Service)]


def test_a_document_declares_where_agents_are_served_and_what_they_take(tmp_path: Path) -> None:
    pay, look = read(tmp_path, DOCUMENT, SET)
    assert pay.name == AgentName("pay")
    assert pay.endpoint == Endpoint(
        "https://bank.test/pay", {"authorization": "secret://env/BANK_TOKEN", "x-team": "shop"}, "3"
    )
    assert pay.signature.input == record({"who": STRING})
    assert show(pay.signature.output) == "{tags: list<string>, text: string}"
    assert (pay.signature.effect, pay.signature.errors) == ("idempotent", ("card_declined",))
    assert pay.signature.time == 5_000_000
    assert show(look.signature.output) == "string?"
    assert look.endpoint == Endpoint("http://localhost:8000/look")


def test_json_says_the_same(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path, '{"agents": {"a": {"kind": "http", "url": "http://a.test", "in": {}, "out": "int"}}}'
    )
    assert show(found.signature.output) == "int"


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("kind: http\n", "kind: grpc\n", ":5:11 E134: 'kind' cannot be 'grpc'"),
        ("    kind: http\n", "", ": an agent lacks 'kind:'"),
        ("    url: https://bank.test/pay\n", "", ": an agent lacks 'url:'"),
        ("out: Reply\n", "out: Replay\n", ":10:10 E300: unknown type 'Replay'  [hint: did you mean 'Reply'?]"),
        ("effect: idempotent\n", "efect: idempotent\n", ":11:5 E110: unknown key 'efect'"),
        ("secret://env/BANK_TOKEN", "secret://env/BANK_TOKNE", ":8:31 E111: the variable BANK_TOKNE is not set"),
        ("secret://env/BANK_TOKEN", "$BANK_TOKEN", ":8:31 E134: variables are not written with $ here  [hint: write secret"),
        ("secret://env/BANK_TOKEN", '"a\\nb"', ":8:16 E134: this cannot be sent as a header"),
        ("url: https://bank.test/pay", "url: bank.test/pay", ":6:10 E134: not an address of http or https"),
        ("url: https", "ulr: https", ":6:5 E110: unknown key 'ulr' in an agent  [hint: did you mean 'url'?]"),
        ("list<string>", "list<string", " E"),
        ("agents:\n", "agent:\n", ":3:1 E110: unknown key 'agent'"),
        ("time: 5s", "time: soon", ":13:11 E130: 'soon' is no duration"),
        ("  look: {", "  see: 3\n  look: {", ":14:8 E112: a mapping is expected here"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, written: str, instead: str, said: str) -> None:
    assert written in DOCUMENT
    with pytest.raises(LinkError) as caught:
        read(tmp_path, DOCUMENT.replace(written, instead), SET)
    assert str(tmp_path / "agents.yaml") in caught.value.message
    assert said in caught.value.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(LinkError) as caught:
        read(tmp_path, DOCUMENT.replace("Reply\n", "Replay\n").replace("5s", "soon"))
    assert [code in caught.value.message for code in ("E300", "E130", "E111")] == [True] * 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot be read: Is a directory"):
        read_declared(tmp_path, Secrets({}))
