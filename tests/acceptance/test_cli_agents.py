"""`strata agents` as people type it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.commandline import strata

AGENTS = """\
from stratarouter_runtime.builder import AgentError, agent, usage

@agent(effect="pure", errors=["too_short"])
def shout(text: str, times: int) -> str:
    print("noise")
    usage.report(usd=0.002, tokens_in=3, tokens_out=4)
    if not text:
        raise AgentError("too_short", "say something")
    return text.upper() * times

@agent
def liar() -> int:
    return "no number"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    return tmp_path


def test_agents_are_listed_with_their_signatures(project: Path) -> None:
    ended = strata("agents", "list", cwd=project)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "liar: {} -> int  [effect]",
        "shout: {text: string, times: int} -> string  [pure]",
    ]
    rows = strata("agents", "list", "--json", cwd=project).json
    assert [(row["name"], len(row["digest"])) for row in rows] == [("liar", 64), ("shout", 64)]


def test_one_agent_is_called_alone(project: Path) -> None:
    ended = strata("agents", "test", "shout", "--input", "text=hi", "--input", "times=2", cwd=project)
    assert (ended.code, ended.out) == (0, '"HIHI"\n')
    assert "noise\n" in ended.err
    assert "0.002000 USD, 3 + 4 tokens" in ended.err
    whole = strata(
        "agents", "test", "shout", "--input", "text=hi", "--input", "times=1", "--json", cwd=project
    )
    assert (whole.json["output"], whole.json["failure"]) == ("HI", None)
    assert whole.json["usage"]["tokens_out"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("shout", "--input", "text=", "--input", "times=1"), 1, "error: too_short: say something"),
        (("liar",), 1, "error: liar returned what does not fit: expected int"),
        (("shout", "--input", "text=a"), 2, "nothing is given for times"),
        (("shout", "--input", "txt=a"), 2, "did you mean 'text'?"),
        (("shuot",), 2, "no agent 'shuot' in this project"),
        ((), 2, "no agent is named"),
    ],
)
def test_what_goes_wrong_is_told(project: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = strata("agents", "test", *arguments, cwd=project)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
