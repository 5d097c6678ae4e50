"""Lint, format, types and layers in one call: what `./strata check` runs, and CI too.

Every check runs, even behind one that failed, so that one call shows all there is to mend.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

BIN: Final = Path(sys.executable).parent
PATHS: Final = ("src", "tests", "tools")

CHECKS: Final = (
    ("ruff", "check", "--output-format", "concise", *PATHS),
    ("ruff", "format", "--check", *PATHS),
    ("mypy",),
    ("lint-imports", "--no-logo"),
)


def main() -> int:
    """Run every check; 0 where all hold."""
    failed = [" ".join(check) for check in CHECKS if not passes(check)]
    for check in failed:
        sys.stderr.write(f"failed: {check}\n")
    return 1 if failed else 0


def passes(check: tuple[str, ...]) -> bool:
    """Whether one check holds; what it says goes straight to the terminal."""
    tool, *arguments = check
    sys.stdout.write(f"== {' '.join(check)}\n")
    sys.stdout.flush()
    return subprocess.run([BIN / tool, *arguments], check=False).returncode == 0  # noqa: S603 - first-party


if __name__ == "__main__":
    sys.exit(main())
