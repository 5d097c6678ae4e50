from __future__ import annotations

import pytest

from stratarouter_runtime.api.server import bind, url
from stratarouter_runtime.errors import InvalidSetting


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1")])
def test_this_machine_is_listened_on(host: str, shown: str) -> None:
    with bind(host, 0) as listener:
        assert url(listener) == f"http://{shown}:{listener.getsockname()[1]}"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", "127.0.0.1.example"])  # noqa: S104 - refused
def test_other_addresses_are_refused(host: str) -> None:
    with pytest.raises(InvalidSetting, match="does not bind to") as caught:
        bind(host, 0)
    assert caught.value.hint is not None
    assert "127.0.0.1" in caught.value.hint


def test_a_port_that_is_taken_is_said_so() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"cannot listen on 127.0.0.1:{port}") as caught:
            bind("127.0.0.1", port)
    assert "--port" in str(caught.value.hint)


def test_a_port_that_no_machine_has_is_said_so() -> None:
    with pytest.raises(InvalidSetting, match="99999: no such port"):
        bind("127.0.0.1", 99_999)
