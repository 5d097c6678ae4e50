"""Where the interpreter and its libraries lie: what every boxed worker may read.

Must never know: what is read there.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Final

_SYSTEM: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")

LOADERS: Final = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
"""What the kernel starts a program with; it has to be allowed beside the program."""
_LIBRARIES: Final = ("site-packages", "dist-packages")


@cache
def interpreter_paths() -> tuple[str, ...]:
    """Folders and files, without those that lie below another of them."""
    package = Path(__file__).resolve().parent.parent
    libraries = [each for each in sys.path if Path(each).name in _LIBRARIES]
    wanted = {
        Path(each) for each in (sys.base_prefix, sys.prefix, *libraries, *_SYSTEM) if Path(each).exists()
    }
    wanted.add(package)
    return tuple(sorted(str(each) for each in wanted if not any(above in wanted for above in each.parents)))
