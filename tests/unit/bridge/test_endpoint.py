from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from time import monotonic, sleep
from typing import Any, Final

import numpy as np
import pytest
from tests.quiet import QuietServer
from typing_extensions import override

from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.encoder import Place
from stratarouter_runtime.bridge.endpoint import Endpoint
from stratarouter_runtime.errors import EncoderFailed, InvalidSetting
from stratarouter_runtime.settings import load
from stratarouter_runtime.wiring import encoder

DIMENSION: Final = 4
Answering = Callable[["Server", dict[str, Any]], tuple[int, Any, dict[str, str]]]


def embedded(texts: list[str]) -> list[dict[str, Any]]:
    return [{"index": row, "embedding": [float(len(text)), 1.0, 0.0, 2.0]} for row, text in enumerate(texts)]


def good(_server: Server, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
    return 200, {"object": "list", "data": embedded(body["input"])[::-1], "usage": {}}, {}


class Server:
    """A real server on a port of its own; `answering` says what it answers."""

    def __init__(self) -> None:
        self.answering: Answering = good
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.asked.append(body | {"path": self.path})
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, answer, headers = server.answering(server, body)
                sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(sent)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(sent)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def endpoint(server: Server, waits: list[float]) -> Iterator[Endpoint]:
    place = Place(server.url, "small", DIMENSION, lambda: "key-of-the-test")
    opened = Endpoint(place, sleep=waits.append)
    yield opened
    opened.close()


def test_vectors_come_in_the_order_of_the_texts_and_have_length_one(
    server: Server, endpoint: Endpoint
) -> None:
    vectors = endpoint.encode(["ab", "", "abcd", " \n"])
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 0], atol=1e-6)
    assert vectors[0][0] == pytest.approx(2 / 3)
    assert vectors[2][0] == pytest.approx(4 / np.sqrt(21))
    assert server.asked == [
        {"model": "small", "input": ["ab", "abcd"], "encoding_format": "float", "path": "/v1/embeddings"}
    ]
    assert server.headers[0]["authorization"] == "Bearer key-of-the-test"
    assert (endpoint.identity, endpoint.dimension) == ("endpoint/small/4", 4)


def test_without_texts_nobody_is_asked(server: Server, endpoint: Endpoint) -> None:
    assert endpoint.encode([]).shape == (0, DIMENSION)
    assert endpoint.encode(["  "]).shape == (1, DIMENSION)
    assert server.asked == []


def test_texts_are_cut_and_made_sendable(server: Server, endpoint: Endpoint) -> None:
    endpoint.encode(["x" * 9_000, "half \ud800 a pair"])
    assert [len(text) for text in server.asked[0]["input"]] == [8_000, 13]
    assert server.asked[0]["input"][1] == "half ? a pair"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(
    server: Server, endpoint: Endpoint, waits: list[float], status: int
) -> None:
    def second(server: Server, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        return good(server, body) if len(server.asked) > 1 else (status, {}, {"retry-after": "3"})

    server.answering = second
    assert endpoint.encode(["ab"]).any()
    assert (len(server.asked), waits) == (2, [3.0])


def test_what_does_not_pass_is_told_after_three_attempts(
    server: Server, endpoint: Endpoint, waits: list[float]
) -> None:
    server.answering = lambda _server, _body: (503, {}, {})
    with pytest.raises(EncoderFailed, match=r"127\.0\.0\.1:\d+ answers with status 503 \(3 attempts\)"):
        endpoint.encode(["ab"])
    assert (len(server.asked), waits) == (3, [0.2, 0.4])


def test_nobody_waits_longer_than_all_of_it_may_take(
    server: Server, endpoint: Endpoint, waits: list[float]
) -> None:
    server.answering = lambda _server, _body: (429, {}, {"retry-after": "3600"})
    with pytest.raises(EncoderFailed, match="1 attempts"):
        endpoint.encode(["ab"])
    assert waits == []


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (401, {"error": "key-of-the-test is wrong"}, "status 401"),
        (404, {}, "status 404"),
        (302, {}, "status 302"),
        (200, b"<html>", "does not answer as an embeddings endpoint does"),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}, "does not answer as"),
        (200, {"data": []}, "gave 0 vectors for 1 texts"),
        (200, {"data": [{"index": 1, "embedding": [1, 2, 3, 4]}]}, "gave 1 vectors for 1 texts"),
        (200, {"data": embedded(["a", "b"])}, "gave 2 vectors for 1 texts"),
        (200, {"data": [{"index": 0, "embedding": [1.0]}]}, "vectors of 1 numbers, not 4"),
        (200, b'{"data":[{"index":0,"embedding":[1e308,1e308,1e308,1e308]}]}', "are no numbers"),
        (200, b'{"data":[{"index":0,"embedding":[NaN,0,0,0]}]}', "does not answer as"),
        (200, b" " * 200_000, "more than vectors of this dimension can take"),
    ],
)
def test_answers_that_are_none_are_told_at_once_and_never_with_the_key(
    server: Server, endpoint: Endpoint, status: int, answer: Any, told: str
) -> None:
    server.answering = lambda _server, _body: (status, answer, {})
    with pytest.raises(EncoderFailed, match=told) as caught:
        endpoint.encode(["ab"])
    assert len(server.asked) == 1
    assert "key-of-the-test" not in f"{caught.value.message}{caught.value.hint}"


def test_a_server_that_is_not_there_is_told() -> None:
    server = Server()
    server.close()
    opened = Endpoint(Place(server.url, "m", DIMENSION), sleep=lambda _seconds: None)
    with pytest.raises(EncoderFailed, match="cannot be reached: ConnectError"):
        opened.encode(["ab"])
    opened.close()


def test_a_server_that_says_nothing_is_given_up(server: Server) -> None:
    def silent(server: Server, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        sleep(0.6)
        return good(server, body)

    server.answering = silent
    opened = Endpoint(Place(server.url, "m", DIMENSION), patience=0.2)
    began = monotonic()
    with pytest.raises(EncoderFailed, match="ReadTimeout"):
        opened.encode(["ab"])
    assert monotonic() - began < 5
    opened.close()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (Place("", "m", 4), "needs encoder.url"),
        (Place("http://x", "", 0), r"needs encoder.model, encoder.dimension"),
        (Place("ftp://x", "m", 4), "encoder.url has to be"),
        (Place("http://user:password@x/v1", "m", 4), "encoder.url has to be"),
        (Place("no address", "m", 4), "encoder.url has to be"),
        (Place("http://x:port", "m", 4), "encoder.url has to be"),
    ],
)
def test_places_that_cannot_be_used_are_refused_before_anything_is_asked(place: Place, told: str) -> None:
    with pytest.raises(InvalidSetting, match=told) as caught:
        Endpoint(place)
    assert "password@" not in caught.value.message


async def test_many_at_once_are_asked_together(server: Server, endpoint: Endpoint) -> None:
    front = BatchedEncoder(endpoint)
    vectors = await front.encode([f"text {row}" for row in range(40)])
    assert vectors.shape == (40, DIMENSION)
    assert [len(asked["input"]) for asked in server.asked] == [32, 8]
    front.close()


async def test_a_failure_is_not_remembered(server: Server, endpoint: Endpoint) -> None:
    front = BatchedEncoder(endpoint)
    server.answering = lambda _server, _body: (404, {}, {})
    with pytest.raises(EncoderFailed):
        await front.encode(["ab"])
    server.answering = good
    assert (await front.encode(["ab"])).any()
    front.close()


def test_settings_lead_to_an_endpoint_with_a_key_that_is_read_each_time(
    server: Server, tmp_path: Any
) -> None:
    file = tmp_path / "key"
    file.write_text("first-key")
    settings = {
        "STRATA_ENCODER": "endpoint",
        "STRATA_ENCODER_URL": f"{server.url}/",
        "STRATA_ENCODER_MODEL": "small",
        "STRATA_ENCODER_DIMENSION": "4",
        "STRATA_ENCODER_KEY": f"secret://file{file}",
    }
    opened = encoder(load(settings, tmp_path / "none.toml"))
    opened.encode(["a"])
    file.write_text("second-key")
    opened.encode(["b"])
    assert [sent["authorization"] for sent in server.headers] == ["Bearer first-key", "Bearer second-key"]
    assert isinstance(opened, Endpoint)
    opened.close()


@pytest.mark.parametrize(
    ("reference", "told"),
    [("sk-123456", "has to be a reference to a secret"), ("secret://env/NOT_SET", "NOT_SET is not set")],
)
def test_a_key_that_is_none_is_refused_and_never_repeated(reference: str, told: str) -> None:
    with pytest.raises(InvalidSetting, match=told) as caught:
        Secrets({}).reader(reference, "encoder.key")
    assert "sk-123456" not in caught.value.message
