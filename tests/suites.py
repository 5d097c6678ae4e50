"""Where the public conformance suites and data sets are; a test that needs one skips without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[1]
_SHARED = _CHECKOUT.parent / "shared"


def suite_path(name: str) -> Path:
    """The folder of the suite `name` below STRATA_SUITES (default: `shared/suites` beside the checkout)."""
    return _present("STRATA_SUITES", "suites", name)


def data_path(name: str) -> Path:
    """The data set `name` below STRATA_DATA (default: `shared/data` beside the checkout)."""
    return _present("STRATA_DATA", "data", name)


def _present(variable: str, folder: str, name: str) -> Path:
    root = Path(os.environ.get(variable) or _SHARED / folder)
    path = root / name
    if not path.exists():
        pytest.skip(f"suites not present: {path} ({variable} names the folder)", allow_module_level=True)
    return path


def flow_files() -> list[Path]:
    """The complete flows at hand: the examples of this checkout, and those of the design beside it."""
    places = [*_CHECKOUT.glob("examples/*/*.yaml"), *_SHARED.glob("flows/*.yaml")]
    return sorted(path for path in places if path.read_text(encoding="utf-8").startswith("tcfp:"))
