"""The pepper of a server: 32 random bytes in a file that only its user may read.

Processes that share a store share the file too. Must never know: what it is used for.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import InvalidSetting

if TYPE_CHECKING:
    from pathlib import Path

    from stratarouter_runtime.ports import Entropy

_BYTES: Final = 32


def pepper(path: Path, entropy: Entropy) -> bytes:
    """The pepper in this file, which is made where there is none. Raises `InvalidSetting`."""
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path, entropy)
        return _read(path)


@cache
def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        value = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, error) from error
    if stat.S_IMODE(mode) & 0o077:
        raise InvalidSetting(f"others may read the pepper {path}", hint=f"chmod 600 {path}")
    if len(value) != _BYTES:
        raise InvalidSetting(
            f"the pepper {path} has {len(value)} bytes, not {_BYTES}",
            hint="restore it from a copy: without it no key made under it works",
        )
    return value


def _make(path: Path, entropy: Entropy) -> None:
    """Whole or not at all, and once only, whoever else makes it now."""
    fresh = path.with_name(f".{path.name}.{entropy.seed()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes.fromhex(entropy.seed() + entropy.seed()))
            file.flush()
            os.fsync(descriptor)
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> InvalidSetting:
    return InvalidSetting(
        f"the pepper {path} cannot be used: {error.strerror}",
        hint="name a file that this user may read: [keys] pepper, or STRATA_PEPPER",
    )
