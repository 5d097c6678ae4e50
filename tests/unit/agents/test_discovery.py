from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stratarouter_runtime.agents.discovery import load_module, load_project
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import LinkError, NotFound
from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall
from stratarouter_runtime.workshops import workshop

HEAD = "from __future__ import annotations\nfrom stratarouter_runtime.builder.agents import agent\n"
DECLARED = "agents:\n  far: { kind: http, url: 'http://far.test', in: {}, out: string }\n"


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def load(folder: Path) -> Registry:
    return load_project(folder, workshop())


async def answer(registry: Registry, name: str) -> object:
    call = AgentCall(ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 1, {})
    reply = await registry[name].call(call)
    assert reply.failure is None
    return reply.output


def test_a_folder_without_agents_has_none(tmp_path: Path) -> None:
    assert len(load(tmp_path)) == 0


async def test_functions_and_services_of_a_project_are_found(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        {
            "agents.py": HEAD
            + "@agent\ndef near() -> str:\n    return 'here'\n\ndef helper(): ...\nalias = near\n",
            "agents.yaml": DECLARED,
            "agents/more.yaml": DECLARED.replace("far:", "farther:"),
        },
    )
    registry = load(folder)
    assert list(registry) == ["far", "farther", "near"]
    assert await answer(registry, "near") == "here"
    await registry.close()


async def test_two_projects_do_not_meet(tmp_path: Path) -> None:
    source = HEAD + "from .shared import NAME\n@agent\nasync def who() -> str:\n    return NAME\n"
    first = project(tmp_path / "a", {"agents.py": source, "shared.py": "NAME = 'a'\n"})
    second = project(tmp_path / "b", {"agents.py": source, "shared.py": "NAME = 'b'\n"})
    one, two = load(first), load(second)
    assert (await answer(one, "who"), await answer(two, "who")) == ("a", "b")
    assert "agents" not in sys.modules
    assert "shared" not in sys.modules


async def test_a_project_that_changed_is_read_anew(tmp_path: Path) -> None:
    source = HEAD + "@agent\nasync def who() -> str:\n    return 'ONE'\n"
    assert await answer(load(project(tmp_path, {"agents.py": source})), "who") == "ONE"
    project(tmp_path, {"agents.py": source.replace("ONE", "SECOND")})
    assert await answer(load(tmp_path), "who") == "SECOND"


async def test_a_package_of_agents_is_a_project_too(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        {
            "agents/__init__.py": "from .one import who\n",
            "agents/one.py": HEAD + "@agent\nasync def who() -> str:\n    return 'one'\n",
        },
    )
    assert await answer(load(folder), "who") == "one"


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        {"agents.py": HEAD + "@agent\ndef far() -> str:\n    return ''\n", "agents.yaml": DECLARED},
    )
    with pytest.raises(LinkError, match="two agents are named 'far'"):
        load(folder)


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("x = (\n", 1, "SyntaxError"),
        ("\n\nraise ValueError('no key')\n", 3, "ValueError: no key"),
        ("import nothing_of_that_name\n", 1, "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("\nimport sys\nsys.exit(4)\n", 3, "SystemExit: 4"),
        (HEAD + "@agent\ndef a(x: complex) -> str: ...\n", 3, "complex"),
        ("def f():\n    return 1 / 0\nf()\n", 2, "ZeroDivisionError"),
        ("from .missing import x\n", 1, "ModuleNotFoundError"),
    ],
)
def test_an_error_in_the_file_is_told_with_its_line(
    tmp_path: Path, source: str, line: int, said: str
) -> None:
    folder = project(tmp_path, {"agents.py": source})
    with pytest.raises(LinkError) as caught:
        load(folder)
    assert f"{folder / 'agents.py'}:{line}: " in caught.value.message
    assert said in caught.value.message
    assert caught.value.__suppress_context__
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    assert str(folder / "agents.py") not in loaded


def test_a_module_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, {"shop_agents.py": HEAD + "@agent\ndef sell() -> str:\n    return ''\n"})
    monkeypatch.syspath_prepend(tmp_path)
    registry = load_module("shop_agents", workshop())
    assert list(registry) == ["sell"]


def test_a_missing_module_is_not_found() -> None:
    with pytest.raises(NotFound, match="no module 'nothing_of_that_name'"):
        load_module("nothing_of_that_name.agents", workshop())
    with pytest.raises(NotFound, match=r"no module 'json\.nothing'"):
        load_module("json.nothing", workshop())
