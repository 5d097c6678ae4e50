"""A kernel that lacks something: the doctor tells the truth, and nothing degrades in silence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.acceptance.commandline import Done, environment, strata

from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.walls import BOXED

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

AGENTS = (
    'agents: {it: {kind: sandbox, engine: python, code: "def run(n): return n + 1", '
    "in: {n: int}, out: int, effect: pure}}\n"
)
FLOW = """\
tcfp: "1.0"
flow: add
in: {n: int}
out: int
agents: [it]
do:
  - {id: a, call: it, with: {n: =n}}
return: =a
"""
LACKING = [
    ("unshare", {"namespaces"}),
    ("landlock_create_ruleset", {"landlock", "landlock-net", "landlock-scope"}),
    ("landlock_restrict_self", {"landlock"}),
    ("seccomp", {"seccomp"}),
    ("pidfd_open", {"pidfd"}),
]


def lacking(call: str, *arguments: object, cwd: Path, **settings: str) -> Done:
    """A command where this call of the system is refused."""
    prefix = ["env", *(f"{name}={value}" for name, value in settings.items())]
    return strata(
        *arguments, cwd=cwd, prefix=[*prefix, sys.executable, "-m", "tests.acceptance.lacking", call]
    )


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert "PYTHONPATH" in environment()


@pytest.mark.parametrize(("call", "missing"), LACKING)
def test_the_doctor_names_what_is_missing_and_no_more(tmp_path: Path, call: str, missing: set[str]) -> None:
    [told] = [
        each for each in lacking(call, "doctor", "--json", cwd=tmp_path).json if each["name"] == "sandbox"
    ]
    for feature, why in features.found().items():
        assert (f"{feature} is missing" in told["says"]) is (feature in missing or bool(why)), told
    assert "Operation not permitted" in told["says"]
    assert not told["ok"]
    needed = ",".join(each for each in BOXED if each in missing)
    assert told["hint"].endswith(f"STRATA_SANDBOX_WITHOUT={needed}")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user stays who it is")
def test_a_user_that_cannot_be_changed_is_told(tmp_path: Path) -> None:
    told = lacking("setresuid", "doctor", "--json", cwd=tmp_path).out
    assert "uid-drop is missing (Operation not permitted)" in told


def test_an_agent_is_refused_unless_it_may_do_without(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(AGENTS)
    (tmp_path / "add.yaml").write_text(FLOW)
    arguments = ("run", "add.yaml", "--input", "n=1", "--json")
    refused = lacking("landlock_restrict_self", *arguments, cwd=tmp_path)
    assert refused.code != 0
    assert "the agent 'it' cannot run at the level 'sandbox' here: missing landlock" in refused.err
    waived = {"STRATA_SANDBOX_WITHOUT": "landlock"}
    allowed = lacking("landlock_restrict_self", *arguments, cwd=tmp_path, **waived)
    assert allowed.json["output"] == 2
    assert "isolated: sandbox without landlock" in strata("show", allowed.json["id"], cwd=tmp_path).out
