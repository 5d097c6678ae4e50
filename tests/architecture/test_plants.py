"""Faults to plant are no use once the source has moved on: each still stands where it is looked for."""

from __future__ import annotations

import pytest
from tests.architecture import source
from tools.planting import Plant, fits, plants


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_a_fault_can_still_be_planted(plant: Plant) -> None:
    assert fits(plant), f"tools/plants.toml: {plant.old!r} does not stand in {plant.file} exactly once"


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_what_must_notice_it_is_there(plant: Plant) -> None:
    if plant.by != "simulation":
        named = [word.partition("::")[0] for word in plant.by.split() if word.startswith("tests/")]
        assert named
        assert [path for path in named if not (source.ROOT / path).exists()] == []


def test_faults_have_names_of_their_own() -> None:
    names = [plant.name for plant in plants()]
    assert len(set(names)) == len(names) > 30
