"""RFC 8785: the published vectors, whole."""

from __future__ import annotations

import json
import struct

import pytest
from tests.suites import suite_path

from stratarouter_runtime.canonical import canonical

DATA = suite_path("jcs") / "testdata"
NAMES = sorted(path.stem for path in (DATA / "input").glob("*.json"))

pytestmark = pytest.mark.suite


def test_the_suite_is_whole() -> None:
    assert NAMES == ["arrays", "french", "structures", "unicode", "values", "weird"]


@pytest.mark.parametrize("name", NAMES)
def test_output(name: str) -> None:
    value = json.loads((DATA / "input" / f"{name}.json").read_text(encoding="utf-8"))
    assert canonical(value) == (DATA / "output" / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_output_in_hexadecimal(name: str) -> None:
    value = json.loads((DATA / "input" / f"{name}.json").read_text(encoding="utf-8"))
    assert canonical(value) == bytes.fromhex((DATA / "outhex" / f"{name}.txt").read_text(encoding="ascii"))


@pytest.mark.parametrize("name", NAMES)
def test_canonical_bytes_are_canonical_already(name: str) -> None:
    output = (DATA / "output" / f"{name}.json").read_bytes()
    assert canonical(json.loads(output)) == output


# The samples that the suite's own page gives for numbers (the file of a hundred million is not in it).
NUMBERS = [
    line.split(",")
    for line in (DATA / "README.md").read_text(encoding="utf-8").splitlines()
    if line.count(",") == 1
    and all(digit in "0123456789abcdef" for digit in line.split(",")[0])
    and line[0] != ","
]


def test_there_are_samples_of_numbers() -> None:
    assert len(NUMBERS) >= 5


@pytest.mark.parametrize(("bits", "expected"), NUMBERS)
def test_numbers(bits: str, expected: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits.zfill(16)))
    assert canonical(number) == expected.encode()
