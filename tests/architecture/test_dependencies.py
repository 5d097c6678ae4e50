"""Everything that gets installed is pinned."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.architecture import source


def asked_for() -> list[Requirement]:
    """What the project names itself, whatever extra it belongs to."""
    project = tomllib.loads((source.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    return [Requirement(line) for line in (*project["dependencies"], *extras)]


def closure(waiting: list[Requirement]) -> set[str]:
    """The distributions that installing these brings here; those of one that is missing are not known."""
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            node = (canonicalize_name(wanted.name), extra)
            if node not in seen:
                seen.add(node)
                waiting += _required(*node)
    return {name for name, _ in seen}


def _required(name: str, extra: str) -> list[Requirement]:
    try:
        written = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:
        return []
    return [each for each in written if each.marker is None or each.marker.evaluate({"extra": extra})]


def pinned() -> dict[str, str]:
    """Name -> version of every line of the constraints."""
    lines = (source.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): version for name, version in pins}


def test_the_constraints_pin_whatever_is_installed() -> None:
    # `editables` comes with an editable installation, and is named by no metadata.
    assert (closure(asked_for()) | {"editables"}) - pinned().keys() == set()


def test_a_pin_is_one_exact_version() -> None:
    assert [pin for pin in pinned().values() if not re.fullmatch(r"[0-9][0-9A-Za-z.+]*", pin)] == []
