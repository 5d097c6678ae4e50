"""What every test shares: the amount of work a run does, and what may be left out of it.

`--full` adds the long proofs. Under STRATA_REQUIRE_ALL=1 a test that skips itself because
something is missing on this machine fails: only the reasons in `MAY_SKIP` stand.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

REQUIRE_ALL: Final = os.environ.get("STRATA_REQUIRE_ALL") == "1"
NEEDS_FULL: Final = "needs --full"
MAY_SKIP: Final = (NEEDS_FULL, "suites not present")

# Deadlines measure the machine, not the code.
settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.register_profile(
    "full",
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--full`, and `--seed` for the one story of the simulation that went wrong."""
    parser.addoption("--full", action="store_true", help="run the long proofs too")
    parser.addoption("--seed", type=int, help="simulate this seed alone (tests/simulation/test_stories.py)")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples a property is tried on."""
    profile = "full" if config.getoption("--full") else "ci" if REQUIRE_ALL else "dev"
    settings.load_profile(profile)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs out unless they are asked for."""
    if config.getoption("--full"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_FULL))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure where nothing may be missing."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure where nothing may be missing."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport, *, require_all: bool = REQUIRE_ALL) -> None:
    """Make `report` a failure if it is a skip whose reason does not stand."""
    if not require_all or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"skipped although STRATA_REQUIRE_ALL=1: {reason}"
