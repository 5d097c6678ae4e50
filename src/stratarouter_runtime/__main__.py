"""Where the process starts: `strata …` and `python -m stratarouter_runtime …`.

Must never know: any command. Nothing but the command line is imported here, so that help
and mistakes answer at once.
"""

from __future__ import annotations

import sys

from stratarouter_runtime.cli.app import run


def main() -> None:
    """Run the command line with this process's arguments and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
