"""The contracts of .importlinter hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.architecture import source


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the package under `folder / "src"`."""
    script = f"import sys; sys.path.insert(0, {str(folder / 'src')!r}); from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(  # noqa: S603 - our own interpreter
        [source.PYTHON, "-c", script, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        source.PACKAGE, folder / "src" / "stratarouter_runtime", ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copy(source.ROOT / ".importlinter", folder)
    return folder


def test_the_layers_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


PLANTED = [
    ("ids.py", "import stratarouter_runtime.tcfp.types", "imports only from the rows below"),
    ("agents/__init__.py", "import stratarouter_runtime.storage", "imports only from the rows below"),
    ("planted.py", "", "imports only from the rows below"),
    ("state/planted.py", "import time", "no clock"),
    ("tcfp/planted.py", "def f():\n    import asyncio", "no clock"),
    ("routing/planted.py", "from pathlib import Path", "no clock"),
    ("builder/planted.py", "import random", "no clock"),
    ("api/planted.py", "import apsw", "The library apsw"),
    ("api/planted.py", "import asyncpg", "The library asyncpg"),
    ("cli/planted.py", "import stratarouter_runtime.storage.postgres", "names back-ends"),
    ("tcfp/types.py", "from stratarouter_runtime.tcfp import relations", "circle"),
    ("cli/planted.py", "import yaml", "The library yaml"),
    ("executor/planted.py", "import stratarouter_runtime.storage.sqlite.store", "rows below"),
    ("cli/planted.py", "import stratarouter_runtime.storage.memory", "names back-ends"),
    ("cli/planted.py", "import uvicorn", "starlette and uvicorn"),
    ("executor/planted.py", "import cyclopts", "The library cyclopts"),
    ("services/planted.py", "", "never its neighbours"),
    ("services/history.py", "import stratarouter_runtime.services.answering", "never its neighbours"),
    ("agents/planted.py", "import onnxruntime", "libraries of the encoder"),
]


@pytest.mark.parametrize(
    ("module", "text", "contract"), PLANTED, ids=[f"{row[0]}: {row[1]}" for row in PLANTED]
)
def test_a_planted_violation_is_found(copy: Path, module: str, text: str, contract: str) -> None:
    path = copy / "src" / "stratarouter_runtime" / module
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{text}\n")
    try:
        done = lint(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line or contract in line]
    assert any(contract in line for line in broken), done.stdout
