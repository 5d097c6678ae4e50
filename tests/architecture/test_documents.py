"""What the documents name exists, and what exists is named in the documents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cyclopts import App
from tests.architecture import source

from stratarouter_runtime import settings
from stratarouter_runtime.agents.kinds import KINDS
from stratarouter_runtime.cli.app import COMMANDS, Command, build
from stratarouter_runtime.cli.exits import BY_CODE
from stratarouter_runtime.tcfp.expressions.functions import FUNCTIONS
from stratarouter_runtime.tcfp.expressions.parser import MACROS
from stratarouter_runtime.tcfp.types import PRIMITIVES
from stratarouter_runtime.tcfp.validation.kinds import BUILT_IN

DOCS = source.ROOT / "docs"
README = (source.ROOT / "README.md").read_text(encoding="utf-8")
LANGUAGE = (DOCS / "tcfp.md").read_text(encoding="utf-8")
AGENTS = (DOCS / "agents.md").read_text(encoding="utf-8")
COMMAND_LINE = (DOCS / "cli.md").read_text(encoding="utf-8")
PICTURE = (source.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def raised_codes() -> set[str]:
    """Every code of a diagnostic that stands in the code."""
    written = (path.read_text(encoding="utf-8") for path in source.modules())
    return {code for text in written for code in re.findall(r'"([EW]\d{3})"', text)}


def test_the_reference_has_every_diagnostic_and_no_other() -> None:
    rows = re.findall(r"^\| ([EW]\d{3}) \|", LANGUAGE, re.MULTILINE)
    assert sorted(rows) == sorted(raised_codes())


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *MACROS, "orValue"}))
def test_the_reference_has_every_function(name: str) -> None:
    assert re.search(rf"`(\w\.)?{name}\(", LANGUAGE)


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_the_reference_has_every_built_in_kind_of_error(kind: str) -> None:
    assert f"`{kind}`" in LANGUAGE


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_reference_has_every_type(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", LANGUAGE, re.MULTILINE)


def test_the_command_line_has_every_command_and_no_other() -> None:
    headings = re.findall(r"^### `strata (\w+)", COMMAND_LINE, re.MULTILINE)
    assert sorted(headings) == sorted(command.name for command in COMMANDS)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_the_command_line_has_every_error_with_its_exit_code(code: str) -> None:
    assert re.search(rf"^\| {BY_CODE[code].value} \|.*`{code}`", COMMAND_LINE, re.MULTILINE)


@pytest.mark.parametrize("setting", settings.SOURCES, ids=lambda setting: setting.key)
def test_the_command_line_has_every_setting_with_its_default(setting: settings.Source) -> None:
    default = getattr(settings.Settings(), setting.field)
    row = rf"^\| `{re.escape(setting.key)}` \| `{setting.variable}` \|(.*?)\|"
    found = re.search(row, COMMAND_LINE, re.MULTILINE)
    assert found is not None
    assert found.group(1).strip("` ") == settings.as_text(default)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_command_line_has_every_option_in_the_section_of_its_command(command: Command) -> None:
    (section,) = re.findall(
        rf"^### `strata {command.name}\b.*?(?=^##)", COMMAND_LINE, re.MULTILINE | re.DOTALL
    )
    everywhere = {"--json", "--store"}
    assert {
        option for option in options(build()[command.name]) - everywhere if option not in section
    } == set()


def options(command: App) -> set[str]:
    """What a command may be told by name, in all of its own commands."""
    found: set[str] = set()
    if command.default_command is not None:
        for argument in command.assemble_argument_collection():
            found |= {name for name in argument.names if name.startswith("--")}
    for name in command:
        if not name.startswith("-"):
            found |= options(command[name])
    return {name for name in found if not name.startswith(("--no-", "--empty-"))}


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"(?:\./strata|`strata) (\w+)", README))
    assert named - {command.name for command in COMMANDS} <= {"test", "check"}
    assert named


def test_the_first_flow_of_the_readme_says_what_the_readme_says(tmp_path: Path) -> None:
    (flow,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (promised,) = re.findall(r"```\n(greet\.yaml:.*?)```", README, re.DOTALL)
    (tmp_path / "greet.yaml").write_text(flow.replace("+ name", "+ nmae"))
    said = _strata(tmp_path, "validate", "greet.yaml")
    assert said.startswith(promised)
    (tmp_path / "greet.yaml").write_text(flow)
    assert _strata(tmp_path, "validate", "greet.yaml").startswith("greet.yaml: ok")
    assert (
        _strata(tmp_path, "run", "greet.yaml", "--input", "name=ann", "--input", "loud=true")
        == '"HELLO, ANN!"\n'
    )


def _strata(folder: Path, *arguments: str) -> str:
    command = [source.PYTHON, "-m", "stratarouter_runtime", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout  # noqa: S603 - ours


@pytest.mark.parametrize(
    "document", [*source.ROOT.glob("*.md"), *DOCS.rglob("*.md")], ids=lambda path: path.name
)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_decision_has_a_number_of_its_own() -> None:
    files = [path for path in (DOCS / "decisions").glob("*.md") if path.stem != "README"]
    numbers = [int(path.stem[:4]) for path in files]
    assert len(set(numbers)) == len(numbers)
    headings = [path.read_text(encoding="utf-8").partition(". ")[0] for path in files]
    assert headings == [f"# {number}" for number in numbers]


@pytest.mark.parametrize(
    "document", [*source.ROOT.glob("*.md"), *DOCS.rglob("*.md")], ids=lambda path: path.name
)
def test_a_decision_is_linked_by_its_number(document: Path) -> None:
    links = re.findall(r"\[decision (\d+)\]\([^)]*?(\d{4})-", document.read_text(encoding="utf-8"))
    assert [link for link in links if int(link[0]) != int(link[1])] == []


@pytest.mark.parametrize(
    "document", [*source.ROOT.glob("*.md"), *DOCS.rglob("*.md")], ids=lambda path: path.name
)
def test_every_link_to_a_heading_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8"))
    assert [
        (file, anchor)
        for file, anchor in links
        if anchor not in anchors(document.parent / file if file else document)
    ] == []


def anchors(document: Path) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "document",
    [*source.ROOT.glob("*.md"), *DOCS.rglob("*.md"), *source.ROOT.glob("examples/*/*.md")],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"\btests/[\w/.]*\w", document.read_text(encoding="utf-8"))
    assert [path for path in named if not (source.ROOT / path).exists()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_declared_agents_has_every_kind(kind: str) -> None:
    assert re.search(rf"^\| \[`{kind}`\]\(#", AGENTS, re.MULTILINE)


def test_the_picture_has_every_package() -> None:
    children = {
        path.stem
        for path in source.PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {name for name in children - {"__init__"} if not re.search(rf"\b{name}\b", PICTURE)} == set()
