"""Everything an operator can set, read once: `config/local.toml`, then the environment over it.

All faults are reported at once, and an unknown key is refused with the nearest known one,
so that a slip never passes silently. Must never know: who uses a setting.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.tcfp.diagnostics import did_you_mean

FILE: Final = Path("config/local.toml")
"""Relative to the working directory, like every path in it."""


class Settings(Struct, frozen=True):
    """One consistent set of settings; a default is what a laptop wants."""

    store: Path = Path(".strata/strata.db")
    """The file in which executions are kept, where no database is named."""
    database_url: str | None = None
    """The PostgreSQL database in which they are kept instead. It may hold a password: never to be shown."""
    database_max_connections: Annotated[int, Meta(ge=3, le=1000)] = 10
    """Sessions that this process opens at most."""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """0 lets the system choose a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """What lines look like: `auto` is columns on a terminal, and JSON everywhere else."""
    trace_endpoint: str | None = None
    """The collector that traces are sent to by OTLP over HTTP, as a base address; None sends none."""
    trace_share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of traces that is recorded, of those that nobody has decided about before."""
    encoder: Literal["minilm", "lexical"] = "minilm"
    """What texts are compared with when a flow routes."""
    encoder_path: Path | None = None
    """A mirrored copy of the encoder's model; None uses the installed package."""


class Source(Struct, frozen=True):
    """Where a field may be set: `section.key` of the file, or a variable of the environment."""

    field: str
    key: str
    variable: str
    secret: bool = False
    """Whether its value must not be shown, not even a wrong one."""


SOURCES: Final = (
    Source("store", "store.path", "STRATA_STORE"),
    Source("database_url", "database.url", "DATABASE_URL", secret=True),
    Source("database_max_connections", "database.max_connections", "DATABASE_MAX_CONNECTIONS"),
    Source("host", "server.host", "SERVER_HOST"),
    Source("port", "server.port", "SERVER_PORT"),
    Source("log_level", "log.level", "LOG_LEVEL"),
    Source("log_format", "log.format", "LOG_FORMAT"),
    Source("trace_endpoint", "trace.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Source("trace_share", "trace.share", "STRATA_TRACE_SHARE"),
    Source("encoder", "encoder.name", "STRATA_ENCODER"),
    Source("encoder_path", "encoder.path", "STRATA_ENCODER_PATH"),
)


def load(environment: Mapping[str, str] = os.environ, file: Path = FILE) -> Settings:
    """The settings in force. Raises `InvalidSetting` that names every fault, not the first."""
    written = _flat(_read(file))
    faults = [_unknown(file, key) for key in written if key not in {source.key for source in SOURCES}]
    fields: dict[str, Any] = {}
    for source in SOURCES:
        try:
            fields |= _field(source, environment, written, file)
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise InvalidSetting("\n  ".join(["settings that cannot be used:", *faults]), hint="see docs/cli.md")
    return Settings(**fields)


def variables(environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The environment, for documents that name variables of it: the headers of declared services."""
    return environment


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            f"{file} cannot be read: {error}", hint="it has to be TOML 1.0 in UTF-8"
        ) from None


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _field(
    source: Source, environment: Mapping[str, str], written: Mapping[str, Any], file: Path
) -> dict[str, Any]:
    """The field as set, or nothing. A variable that is set but empty counts as not set."""
    if text := environment.get(source.variable):
        value: Any = text.lower() if source.field == "log_level" else text
        return {source.field: _convert(source, value, source.variable)}
    if source.key in written:
        return {source.field: _convert(source, written[source.key], f"{file}: {source.key}")}
    return {}


def _convert(source: Source, value: object, where: str) -> Any:
    try:
        return msgspec.convert(value, _TYPES[source.field], strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        shown = "(hidden)" if source.secret else repr(value)
        raise ValueError(f"{where} = {shown}: {error}") from None


def _path(wanted: type, value: object) -> Path:
    if wanted is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected a path")


def _unknown(file: Path, key: str) -> str:
    near = did_you_mean(key, (source.key for source in SOURCES))
    return f"{file}: {key}: no such setting{f' ({near})' if near else ''}"


def _types() -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(Settings):
        yield field.name, field.type


_TYPES: Final = dict(_types())
