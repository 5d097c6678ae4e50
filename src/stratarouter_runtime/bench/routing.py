"""How well and how quickly texts are routed: public data where it is at hand, a shipped sample elsewhere.

Samples are drawn by digest, so every run draws the same. Must never know: what the figures are
compared with.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.bridge.encoder import Encoder, Vectors
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router
from stratarouter_runtime.routing.tables import Route, Table
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.tcfp.text import Mapping as Branch
from stratarouter_runtime.tcfp.text import Node, Scalar, read_text
from stratarouter_runtime.tcfp.text import Sequence as Leaves

BATCH: Final = 256


class Data(Struct, frozen=True):
    """What to learn from, and what to ask: `held` by the route it belongs to, `foreign` belonging to none."""

    name: str
    table: Table
    held: tuple[tuple[str, str], ...]
    foreign: tuple[str, ...]


class Accuracy(Struct, frozen=True):
    """Shares of what was held out: routed right; right and accepted; and of the foreign, refused.

    `nearest` and `centroid` are those that plain cosine routes right, by the nearest example and by
    the centroid. Times are of one decision with the vector given, in microseconds.
    """

    data: str
    routes: int
    examples: int
    right: float
    accepted: float
    refused: float
    nearest: float
    centroid: float
    method: str
    p50_us: float
    p99_us: float
    fit_s: float


def sample() -> Data:
    """The sentences that are shipped."""
    text = files(__package__).joinpath("routing_sample.yaml").read_text(encoding="utf-8")
    root = read_text(text).root
    assert isinstance(root, Branch)
    parts = {entry.key: entry.value for entry in root.entries}
    known = {name: tuple(texts) for name, texts in _lists(parts["routes"]).items()}
    held = tuple((text, name) for name, texts in _lists(parts["held"]).items() for text in texts)
    table = _table("sample", known, _texts(parts["none"]))
    return Data("shipped sample", table, held, tuple(_texts(parts["foreign"])))


def clinc(folder: Path, shots: int | None, draw: int = 0) -> Data:
    """CLINC150: `shots` examples a route, or all; `draw` is which of the possible samples."""
    data = json.loads((folder / "data_full.json").read_text(encoding="utf-8"))
    known: dict[str, list[str]] = defaultdict(list)
    for text, route in sorted(data["train"], key=lambda pair: blake3(f"{draw}\0{pair[0]}".encode()).digest()):
        if shots is None or len(known[route]) < shots:
            known[route].append(text)
    none = [text for text, _ in data["oos_train"]]
    name = f"CLINC150, {'full' if shots is None else f'{shots}-shot, draw {draw}'}"
    held = tuple((text, route) for text, route in data["test"])
    return Data(name, _table("clinc150", known, none), held, tuple(text for text, _ in data["oos_test"]))


def healthcare(folder: Path) -> Data:
    """The queries to a health plan: learnt from `train`, asked about the rest; ambiguous ones are left out."""
    path = folder / "healthcare-routing-evaluation.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train" and row["example_type"] == "positive":
            known[row["expected_route"]].append(row["utterance"])
    none = [row["utterance"] for row in rows if row["split"] == "train" and row["example_type"] == "negative"]
    rest = [row for row in rows if row["split"] != "train"]
    held = tuple(
        (row["utterance"], row["expected_route"]) for row in rest if row["example_type"] == "positive"
    )
    foreign = tuple(row["utterance"] for row in rest if row["example_type"] == "negative")
    return Data("healthcare", _table("healthcare", known, none), held, foreign)


class Encoded:
    """Vectors of texts, each made once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """The vectors of these texts, one row each."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._known.update(zip(part, self.encoder.encode(part), strict=True))
        return np.array([self._known[text] for text in texts], dtype=np.float32)


def accuracy(data: Data, encoded: Encoded) -> Accuracy:
    """Fit the table, and ask it everything that was held out."""
    known = fitting.examples(data.table)
    vectors, none = encoded.vectors(known.texts), encoded.vectors(data.table.none)
    identity = encoded.encoder.identity
    began = perf_counter()
    fitted = fitting.fit(data.table, vectors, none.reshape(len(none), vectors.shape[1]), identity)
    took = perf_counter() - began
    router = Router(fitted, fitting.digest_of(fitting.encode(fitted)))
    asked = [*(text for text, _ in data.held), *data.foreign]
    queries = encoded.vectors(asked)
    times: list[float] = []
    best: list[str] = []
    accepted: list[bool] = []
    for text, vector in zip(asked, queries, strict=True):
        began = perf_counter()
        decision = router.decide(text, vector.tobytes(), identity)
        times.append(perf_counter() - began)
        best.append(decision.best)
        accepted.append(decision.route is not None)
    wanted = [route for _, route in data.held]
    right = [one == other for one, other in zip(best, wanted, strict=False)]
    count = len(wanted)
    nearest, centroid = _plain(known, vectors, queries[:count], wanted)
    return Accuracy(
        data.name,
        len(known.routes),
        len(known.texts),
        _share(right),
        _share([one and other for one, other in zip(right, accepted, strict=False)]),
        _share([not one for one in accepted[count:]]),
        nearest,
        centroid,
        fitted.acceptance.method,
        round(quantile(times, 0.5) * 1e6, 1),
        round(quantile(times, 0.99) * 1e6, 1),
        round(took, 1),
    )


def _plain(
    known: fitting.Examples, vectors: Vectors, queries: Vectors, wanted: Sequence[str]
) -> tuple[float, float]:
    """What cosine alone gets right, by the nearest example and by the nearest centroid."""
    names = np.array(known.routes)
    nearest = names[known.owner[(queries @ vectors.T).argmax(axis=1)]]
    sums = np.zeros((len(names), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, known.owner, vectors)
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    centroid = names[(queries @ sums.T).argmax(axis=1)]
    return _share((nearest == wanted).tolist()), _share((centroid == wanted).tolist())


def _table(name: str, known: Mapping[str, Iterable[str]], none: Iterable[str]) -> Table:
    """A text that stands under two routes stays with the first."""
    seen: set[str] = set()
    routes = []
    for route, texts in sorted(known.items()):
        own = tuple(text for text in dict.fromkeys(texts) if text not in seen)
        seen.update(own)
        routes.append(Route(route, own))
    return Table(name, tuple(routes), tuple(text for text in dict.fromkeys(none) if text not in seen))


def _lists(node: Node) -> dict[str, list[str]]:
    assert isinstance(node, Branch)
    return {entry.key: _texts(entry.value) for entry in node.entries}


def _texts(node: Node) -> list[str]:
    assert isinstance(node, Leaves)
    return [item.text for item in node.items if isinstance(item, Scalar)]


def _share(hits: Sequence[bool]) -> float:
    return round(sum(hits) / len(hits), 4) if hits else 0.0


def measure(encoded: Encoded, folder: Path | None) -> list[Accuracy]:
    """Every data set at hand: the shipped sample, and below `folder` the public ones."""
    sets = [sample()]
    if folder is not None and (folder / "healthcare_routing").is_dir():
        sets.append(healthcare(folder / "healthcare_routing"))
    if folder is not None and (folder / "clinc150").is_dir():
        sets += [clinc(folder / "clinc150", 10, draw) for draw in range(3)]
        sets.append(clinc(folder / "clinc150", None))
    return [accuracy(each, encoded) for each in sets]
