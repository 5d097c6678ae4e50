from __future__ import annotations

import pytest

from stratarouter_runtime.agents.reach import barred, entry_fault, host_of, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - not bound to
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("feff::1", False),
        ("5f00::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("2001:0:7f00:1::", False),
    ],
)
def test_public_is_what_anybody_can_reach(address: str, public: bool) -> None:  # noqa: FBT001 - a row of the table
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("allowed", "host", "address", "may"),
    [
        ((), "a.test", "93.184.215.14", True),
        ((), "a.test", "10.0.0.1", False),
        (("a.test",), "A.TEST.", "10.0.0.1", True),
        (("a.test:8000",), "a.test", "10.0.0.1", True),
        (("a.test:8001",), "a.test", "10.0.0.1", False),
        (("b.test",), "a.test", "10.0.0.1", False),
        (("10.0.0.0/8",), "a.test", "10.0.0.1", True),
        (("10.0.0.0/8:8000",), "a.test", "10.0.0.1", True),
        (("10.0.0.0/8:1",), "a.test", "10.0.0.1", False),
        (("127.0.0.1",), "a.test", "127.0.0.1", True),
        (("127.0.0.1",), "a.test", "::ffff:127.0.0.1", True),
        (("127.0.0.1",), "a.test", "127.0.0.2", False),
        (("[::1]:8000",), "localhost", "::1", True),
        (("::1",), "localhost", "::1", True),
    ],
)
def test_what_is_not_public_has_to_be_allowed(
    allowed: tuple[str, ...],
    host: str,
    address: str,
    may: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert (barred(host, 8000, [address], allowed) == "") is may


def test_one_address_that_is_not_public_bars_all() -> None:
    reason = barred("a.test", 443, ["93.184.215.14", "10.0.0.1"], ())
    assert reason == "a.test is 10.0.0.1, which is not public"
    assert barred("a.test", 443, [], ()) == "a.test has no address"
    assert barred("10.0.0.1", 443, ["10.0.0.1"], ()) == "10.0.0.1 is not public"


@pytest.mark.parametrize(
    "entry",
    ["", ":80", "http://a", "*", "a:0", "a:b", "a:99999", "10.0.0.1/8", "a/b", "[::1]80", "u@a", "a b"],
)
def test_an_entry_that_can_match_nothing_is_refused(entry: str) -> None:
    assert entry_fault(entry)


@pytest.mark.parametrize(
    "entry", ["a.test", "localhost:8000", "10.0.0.0/8", "10.0.0.0/8:80", "::1", "[::1]:80"]
)
def test_an_entry_that_can_match_is_taken(entry: str) -> None:
    assert entry_fault(entry) == ""


@pytest.mark.parametrize(
    ("url", "host"), [("https://A.test:1/x", "a.test"), ("http://[::1]/", "::1"), ("http://[", "")]
)
def test_the_host_of_an_address(url: str, host: str) -> None:
    assert host_of(url) == host
