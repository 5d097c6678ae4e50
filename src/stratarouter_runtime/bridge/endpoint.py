"""An encoder elsewhere: an endpoint that takes texts and gives vectors as OpenAI's embeddings do.

What it answers is checked before it is believed. Must never know: who asks, or what the vectors are
compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import httpx2
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct
from typing_extensions import override

from stratarouter_runtime.bridge.encoder import Encoder, Place, Vectors
from stratarouter_runtime.errors import EncoderFailed, InvalidSetting

PATIENCE: Final = 20.0
"""Seconds in which a batch has to be encoded, whatever is tried."""
ATTEMPTS: Final = 3
_QUIET: Final = 10.0
"""Seconds that the endpoint may say nothing."""
_PAUSE: Final = 0.2
"""Seconds before the second attempt; twice that before the third."""
_MAX_CHARACTERS: Final = 8_000
"""Of a text, the rest is not looked at: models take some 8,000 tokens, and refuse more."""
_PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed."""
_NUMBER: Final = 40
"""Bytes that a number takes in JSON at most, with what stands around it."""


class _Vector(Struct):
    index: Annotated[int, Meta(ge=0)]
    embedding: list[float]


class _Answer(Struct):
    data: list[_Vector]


class _Passing(Exception):
    """What may be over at the next attempt. `wait` is how long the endpoint asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Endpoint(Encoder):
    """Belongs to one thread; `close` it when done.

    Raises `EncoderFailed` where the endpoint cannot be had, or answers what is none: nothing is
    compared by other means then. Vectors are brought to length 1; a text without letters has none,
    and is not sent.
    """

    def __init__(
        self,
        place: Place,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check(place)
        self._place = place
        self._patience = patience
        self._sleep = sleep
        self._client = httpx2.Client(timeout=min(_QUIET, patience), trust_env=False, follow_redirects=False)

    @property
    @override
    def identity(self) -> str:
        return f"endpoint/{self._place.model}/{self._place.dimension}"

    @property
    @override
    def dimension(self) -> int:
        return self._place.dimension

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self._place.dimension), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if rows:
            # Half a surrogate pair is no UTF-8, and would end the request before it is sent.
            sent = [texts[row][:_MAX_CHARACTERS].encode(errors="replace").decode() for row in rows]
            vectors[rows] = self._asked(sent)
        return vectors

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _asked(self, texts: Sequence[str]) -> Vectors:
        until = time.monotonic() + self._patience
        pause = _PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._read(self._post(texts, until), len(texts))
            except _Passing as passing:
                wait = max(passing.wait, pause)
                if attempt == ATTEMPTS or time.monotonic() + wait > until:
                    raise self._failed(f"{passing} ({attempt} attempts)", "ask again later") from None
            self._sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _post(self, texts: Sequence[str], until: float) -> bytes:
        body = msgspec.json.encode({"model": self._place.model, "input": texts, "encoding_format": "float"})
        headers = {"content-type": "application/json"}
        if self._place.key is not None:
            headers["authorization"] = f"Bearer {self._place.key()}"
        url = f"{self._place.url.rstrip('/')}/embeddings"
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as response:
                if response.status_code == 200:
                    return self._body(response, len(texts), until)
                raise self._refused(response)
        except httpx2.HTTPError as error:
            raise _Passing(f"cannot be reached: {type(error).__name__}") from None

    def _body(self, response: httpx2.Response, count: int, until: float) -> bytes:
        """As much as such an answer may have, in the time that it may take."""
        room = 65_536 + count * self._place.dimension * _NUMBER
        parts: list[bytes] = []
        for part in response.iter_bytes():
            room -= len(part)
            if room < 0:
                raise self._failed("answers more than vectors of this dimension can take", self._hint())
            if time.monotonic() > until:
                raise _Passing("did not finish its answer in time")
            parts.append(part)
        return b"".join(parts)

    def _refused(self, response: httpx2.Response) -> _Passing | EncoderFailed:
        status = response.status_code
        if status in _PASSING:
            return _Passing(f"answers with status {status}", _seconds(response.headers.get("retry-after")))
        hint = "see encoder.key" if status in (401, 403) else "see encoder.url and encoder.model"
        return self._failed(f"answers with status {status}", hint)

    def _read(self, body: bytes, count: int) -> Vectors:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):  # also what does not fit
            raise self._failed("does not answer as an embeddings endpoint does", "see encoder.url") from None
        found = sorted(answer.data, key=lambda each: each.index)
        if [each.index for each in found] != list(range(count)):
            raise self._failed(f"gave {len(found)} vectors for {count} texts", self._hint())
        lengths = {len(each.embedding) for each in found}
        if lengths != {self._place.dimension}:
            told = ", ".join(map(str, sorted(lengths)))
            raise self._failed(
                f"gives vectors of {told} numbers, not {self._place.dimension}", "set encoder.dimension"
            )
        return self._unit(np.array([each.embedding for each in found], dtype=np.float64))

    def _unit(self, rows: npt.NDArray[np.float64]) -> Vectors:
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            vectors = (rows / np.where(lengths == 0.0, 1.0, lengths)).astype(np.float32)
        if not (np.isfinite(lengths).all() and np.isfinite(vectors).all()):
            raise self._failed("gives vectors that are no numbers", self._hint())
        return vectors

    def _hint(self) -> str:
        return f"is '{self._place.model}' a model for embeddings, of dimension {self._place.dimension}?"

    def _failed(self, reason: str, hint: str) -> EncoderFailed:
        return EncoderFailed(f"the encoder at {_shown(self._place.url)} {reason}", hint=hint)


def check(place: Place) -> None:
    """Raise `InvalidSetting` that names what is missing, or cannot be an address."""
    missing = [
        f"encoder.{name}"
        for name, value in (("url", place.url), ("model", place.model), ("dimension", place.dimension))
        if not value
    ]
    if missing:
        raise InvalidSetting(f"the encoder 'endpoint' needs {', '.join(missing)}", hint="see docs/routing.md")
    try:
        url = httpx2.URL(place.url)
    except (httpx2.InvalidURL, ValueError):
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.userinfo:
        raise InvalidSetting(
            "encoder.url has to be the base of an HTTP endpoint, without a query and a password",
            hint="e.g. https://models.example.com/v1; a key goes into encoder.key, as a reference",
        )


def _shown(url: str) -> str:
    parts = httpx2.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"


def _seconds(text: str | None) -> float:
    """What `Retry-After` asks for, where it is a number."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else 0.0
