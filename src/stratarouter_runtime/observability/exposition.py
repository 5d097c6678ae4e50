"""Statistics -> the text that Prometheus reads (exposition format 0.0.4).

Rendered here and not by a library: a scrape must not hold the loop up, so the text comes in
pieces between which others get their turn. Must never know: whose figures these are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from stratarouter_runtime.tally import Distribution

if TYPE_CHECKING:
    from stratarouter_runtime.observability.table import Metric

Figure: TypeAlias = "float | Distribution"
Label: TypeAlias = "str | tuple[str, ...]"

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


def lines(metric: Metric, value: Figure | Mapping[Label, Figure]) -> Iterator[str]:
    """The lines of one family, each group that belongs together as one piece."""
    name = metric.family
    yield f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n"
    if isinstance(value, Mapping):
        for label, figure in value.items():
            yield _figure(name, _labels(metric.labels, label), figure)
    else:
        yield _figure(name, "", value)


def _figure(name: str, labels: str, figure: Figure) -> str:
    if isinstance(figure, Distribution):
        return _distribution(name, labels, figure)
    return f"{name}{{{labels}}} {figure}\n" if labels else f"{name} {figure}\n"


def _distribution(name: str, labels: str, figure: Distribution) -> str:
    more = f"{labels}," if labels else ""
    behind = f"{{{labels}}}" if labels else ""
    told, reached = [], 0
    for bound, count in zip(figure.bounds, figure.counts, strict=False):
        reached += count
        told.append(f'{name}_bucket{{{more}le="{bound}"}} {reached}\n')
    reached += figure.counts[-1]
    told.append(f'{name}_bucket{{{more}le="+Inf"}} {reached}\n')
    told.append(f"{name}_sum{behind} {figure.total}\n{name}_count{behind} {reached}\n")
    return "".join(told)


@lru_cache(maxsize=8_192)
def _labels(names: tuple[str, ...], values: Label) -> str:
    texts = (values,) if isinstance(values, str) else values
    return ",".join(f'{name}="{_escaped(text)}"' for name, text in zip(names, texts, strict=True))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
