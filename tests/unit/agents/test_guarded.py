"""Where connections go, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from typing_extensions import override

from stratarouter_runtime.agents import guarded
from stratarouter_runtime.agents.reach import Barred
from stratarouter_runtime.agents.web import TooLarge, Web, read_capped

SEVEN = (
    "127.0.0.1",
    "localhost",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "0.0.0.0",  # noqa: S104 - not bound to
    "169.254.169.254",
)


class Server:
    """Answers every request with its head, and counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(head), head)
        writer.write(answer)
        await writer.drain()
        writer.close()


class Changing:
    """A resolver that answers each question otherwise than the one before."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def get(web: Web, url: str) -> httpx2.Response:
    async with await web.open() as client:
        return await client.get(url)


@pytest.mark.parametrize("host", SEVEN)
async def test_the_seven_forms_of_this_machine_are_barred(host: str) -> None:
    async with Server().serving() as server:
        with pytest.raises(Barred, match="not public"):
            await get(Web(), f"http://{host}:{server.port}/")
        assert server.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
async def test_no_proxy_of_the_environment_is_asked(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server().serving() as server:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{server.port}")
        with pytest.raises(Barred):
            await get(Web(resolve=Changing(["10.0.0.1"])), "http://service.test/")
        assert server.connections == 0


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    names = Changing(["127.0.0.1"], ["10.0.0.1"])
    async with Server().serving() as server:
        web = Web([f"127.0.0.1:{server.port}"], resolve=names)
        async with await web.open() as client:
            answer = await client.get(f"http://service.test:{server.port}/")
            assert f"Host: service.test:{server.port}".encode().lower() in answer.content.lower()
            with pytest.raises(Barred, match=r"service\.test is 10\.0\.0\.1, which is not public"):
                await client.get(f"http://service.test:{server.port}/")
    assert names.asked == ["service.test", "service.test"]
    assert server.connections == 1


async def test_the_next_address_is_taken_where_one_does_not_answer() -> None:
    async with Server().serving() as server:
        web = Web(["127.0.0.0/8"], resolve=Changing(["127.0.0.2", "127.0.0.1"]))
        assert (await get(web, f"http://service.test:{server.port}/")).status_code == 200


async def test_a_redirect_is_an_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await get(Web(["127.0.0.1"]), f"http://127.0.0.1:{port}/")).status_code == 302


async def test_names_that_cannot_be_resolved_are_unreachable() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(httpx2.ConnectError, match=r"service\.test cannot be resolved: Name or service"):
        await get(Web(resolve=nowhere), "http://service.test/")


async def test_the_name_of_the_host_stays_in_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=service.test"
    named = ["-addext", "subjectAltName=DNS:service.test", "-keyout", str(key), "-out", str(certificate)]
    process = await asyncio.create_subprocess_exec(
        "openssl", *made.split(), *named, stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    told: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: told.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(guarded, "_context", lambda: trusting)
    async with Server().serving(tls) as server:
        web = Web(["127.0.0.1"], resolve=Changing(["127.0.0.1"], ["127.0.0.1"]))
        assert (await get(web, f"https://service.test:{server.port}/")).status_code == 200
        with pytest.raises(httpx2.ConnectError, match="Hostname mismatch"):
            await get(web, f"https://other.test:{server.port}/")
    assert told == ["service.test", "other.test"]


async def test_an_answer_is_read_up_to_its_cap() -> None:
    async with Server().serving() as server, await Web(["127.0.0.1"]).open() as client:
        url = f"http://127.0.0.1:{server.port}/"
        async with client.stream("GET", url) as response:
            assert (await read_capped(response, 10_000)).startswith(b"GET / HTTP/1.1")
        with pytest.raises(TooLarge):
            async with client.stream("GET", url) as response:
                await read_capped(response, 10)


# Hosts that an agent names.


async def test_a_client_gets_to_the_hosts_that_are_named_and_no_others() -> None:
    async with Server().serving() as server:
        web = Web(["127.0.0.1"], resolve=Changing(["127.0.0.1"], ["127.0.0.1"])).only(["Named.TEST"])
        async with await web.open() as client:
            assert (await client.get(f"http://named.test:{server.port}/")).status_code == 200
            with pytest.raises(
                Barred, match=r"other\.test is none of the hosts that the agent says it needs"
            ):
                await client.get(f"http://other.test:{server.port}/")
        assert server.connections == 1


async def test_a_name_in_other_letters_is_the_one_that_is_asked_for() -> None:
    async with Server().serving() as server:
        web = Web(["127.0.0.1"], resolve=Changing(["127.0.0.1"])).only(["bücher.test"])
        async with await web.open() as client:
            assert (await client.get(f"http://bücher.test:{server.port}/")).status_code == 200


class Redirecting(Server):
    """Sends everybody to another host of the same address."""

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 302 Found\r\nlocation: http://other.test:{self.port}/\r\ncontent-length: 0\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        writer.close()


async def test_a_redirect_leads_to_no_host_that_is_not_named() -> None:
    async with Redirecting().serving() as server:
        web = Web(["127.0.0.1"], resolve=Changing(["127.0.0.1"], ["127.0.0.1"])).only(["named.test"])
        async with await web.open() as client:
            client.follow_redirects = True  # as a library that is handed the client might
            with pytest.raises(Barred, match=r"^other\.test is none"):
                await client.get(f"http://named.test:{server.port}/")
        assert server.connections == 1
