"""Everything an operator can set, read once: `config/local.toml`, then the environment over it.

All faults are reported at once, and an unknown key is refused with the nearest known one,
so that a slip never passes silently. Must never know: who uses a setting.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tenancy.quotas import Tier

FILE: Final = Path("config/local.toml")
"""Relative to the working directory, like every path in it."""

TIERS: Final = "limits.tiers"
"""The table of the file in which each table is a tier: `[limits.tiers.pro]`."""

DATABASES: Final = ("postgresql:", "postgres:")
"""How a store begins that is a database and no file."""

BUILT_IN: Final = frozenset({"free", "unlimited"})
"""Tiers that are always there, and the same everywhere."""

_TIER: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Settings(Struct, frozen=True):
    """One consistent set of settings; a default is what a laptop wants."""

    store: Path = Path(".strata/strata.db")
    """The file in which executions are kept, where no database is named."""
    database_url: str | None = None
    """The PostgreSQL database in which they are kept instead. It may hold a password: never to be shown."""
    database_max_connections: Annotated[int, Meta(ge=3, le=1000)] = 10
    """Sessions that this process opens at most."""
    database_lease_seconds: Annotated[float, Meta(ge=0.5, le=300)] = 3.0
    """After how long another process takes over the work of one that no longer answers."""
    retention_days: Annotated[float, Meta(gt=0)] | None = None
    """How long executions are kept after their end; None for ever."""
    retention_executions: Annotated[int, Meta(ge=0)] | None = None
    """How many that have ended are kept, the newest; None all of them."""
    retention_bytes: Annotated[int, Meta(ge=0)] | None = None
    """How many bytes journals may have before the oldest that have ended go; None any number."""
    snapshot_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    """After how many new facts of an execution its state is written, so that it is taken up sooner."""
    snapshot_seconds: Annotated[float, Meta(gt=0)] = 30.0
    """After how long, where a tenth as many facts are new."""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """0 lets the system choose a free one."""
    connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """How many may be open to the server at once."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """What lines look like: `auto` is columns on a terminal, and JSON everywhere else."""
    trace_endpoint: str | None = None
    """The collector that traces are sent to by OTLP over HTTP, as a base address; None sends none."""
    trace_share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of traces that is recorded, of those that nobody has decided about before."""
    pepper: Path = Path(".strata/pepper")
    """The file with what keys are hashed with; made where there is none. Whoever shares a store shares it."""
    tier: str = "free"
    """The tier of every tenant that has none assigned; the tenant `local` has none of it."""
    tiers: tuple[Tier, ...] = ()
    """Tiers beside `free` and `unlimited`: tables of the file only."""
    jwt_keys: str | None = None
    """Where the keys are that sign tokens: the address of a JWKS, or a file. None takes no tokens."""
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_tenant: str = "tenant"
    """The claim that names the tenant."""
    agent_hosts: str = ""
    """What agents may connect to although it is not public: hosts, addresses, networks, separated by commas."""
    agent_secrets: str = ""
    """The references to secrets that registered agents may use, as patterns separated by commas."""
    agent_max_output: Annotated[int, Meta(ge=1_024, le=1 << 30)] = 8 << 20
    """How many bytes of JSON an agent may answer with."""
    sandbox_without: str = ""
    """Features that walls around agents may lack here, by name, separated by commas."""
    sandbox_commands: str = ""
    """The programs that agents may start, by their whole paths, separated by commas."""
    cache: bool = True
    """Whether answers are reused at all."""
    cache_threshold: Annotated[float, Meta(ge=0.5, le=1)] = 0.85
    """The least cosine of texts that match by meaning; a request may ask for more."""
    cache_ttl_seconds: Annotated[int, Meta(ge=1, le=31_536_000)] = 86_400
    """How long an answer is kept."""
    cache_max_age_seconds: Annotated[int, Meta(ge=0)] | None = None
    """How old an answer may be when it is reused; None as long as it is kept."""
    cache_shadow_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The share of reused answers that is worked out anew as well, to know how many are wrong."""
    cache_memory_mb: Annotated[int, Meta(ge=1, le=65_536)] = 64
    """What answers kept in memory may take, in MiB."""
    encoder: Literal["minilm", "minilm-fast", "universal", "endpoint", "lexical"] = "minilm"
    """What texts are compared with when a flow routes."""
    encoder_path: Path | None = None
    """A mirrored copy of the encoder's model; None uses the installed package."""
    encoder_cache: Path = Path(".strata/encoders")
    """Where variants of the encoder's model are kept that were made here."""
    encoder_url: str = ""
    """The base of the endpoint that the encoder `endpoint` asks, before `/embeddings`."""
    encoder_model: str = ""
    """Which model it asks there."""
    encoder_dimension: Annotated[int, Meta(ge=0, le=8_192)] = 0
    """The length of that model's vectors."""
    encoder_key: str | None = None
    """A reference to the key for it, `secret://env/NAME` or `secret://file/PATH`."""
    routing_core: bool = False
    """Whether StrataRouter-Core decides where a routing table knows all candidates."""


def place_of(settings: Settings, store: Path | str | None = None) -> Path | str:
    """Where executions are kept: a file, or text that is the URL of a database.

    `store` is what somebody named instead of what the settings say. Raises `InvalidSetting` for the
    URL of anything else, which is no name of a file; it may hold a password and is not shown.
    """
    if store is None:
        return settings.database_url or settings.store
    if isinstance(store, str) and store.startswith(DATABASES):
        return store
    if isinstance(store, str) and "://" in store:
        hint = "name a file, or a database as postgresql://USER@HOST/DATABASE"
        raise InvalidSetting("a store is a file or a PostgreSQL database, and no other URL", hint=hint)
    return Path(store)


class _Tier(Tier, frozen=True, forbid_unknown_fields=True):
    """A tier as the file defines it."""


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
    Source("database_lease_seconds", "database.lease_seconds", "DATABASE_LEASE_SECONDS"),
    Source("retention_days", "retention.days", "STRATA_RETENTION_DAYS"),
    Source("retention_executions", "retention.executions", "STRATA_RETENTION_EXECUTIONS"),
    Source("retention_bytes", "retention.bytes", "STRATA_RETENTION_BYTES"),
    Source("snapshot_records", "snapshots.records", "STRATA_SNAPSHOT_RECORDS"),
    Source("snapshot_seconds", "snapshots.seconds", "STRATA_SNAPSHOT_SECONDS"),
    Source("host", "server.host", "SERVER_HOST"),
    Source("port", "server.port", "SERVER_PORT"),
    Source("connections", "server.connections", "SERVER_CONNECTIONS"),
    Source("log_level", "log.level", "LOG_LEVEL"),
    Source("log_format", "log.format", "LOG_FORMAT"),
    Source("trace_endpoint", "trace.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Source("trace_share", "trace.share", "STRATA_TRACE_SHARE"),
    Source("pepper", "keys.pepper", "STRATA_PEPPER"),
    Source("tier", "limits.tier", "STRATA_TIER"),
    Source("jwt_keys", "jwt.keys", "STRATA_JWT_KEYS"),
    Source("jwt_issuer", "jwt.issuer", "STRATA_JWT_ISSUER"),
    Source("jwt_audience", "jwt.audience", "STRATA_JWT_AUDIENCE"),
    Source("jwt_tenant", "jwt.tenant", "STRATA_JWT_TENANT"),
    Source("agent_hosts", "agents.hosts", "STRATA_AGENT_HOSTS"),
    Source("agent_secrets", "agents.secrets", "STRATA_AGENT_SECRETS"),
    Source("agent_max_output", "agents.max_output", "STRATA_AGENT_MAX_OUTPUT"),
    Source("sandbox_without", "sandbox.without", "STRATA_SANDBOX_WITHOUT"),
    Source("sandbox_commands", "sandbox.commands", "STRATA_SANDBOX_COMMANDS"),
    Source("cache", "cache.enabled", "STRATA_CACHE"),
    Source("cache_threshold", "cache.threshold", "STRATA_CACHE_THRESHOLD"),
    Source("cache_ttl_seconds", "cache.ttl_seconds", "STRATA_CACHE_TTL_SECONDS"),
    Source("cache_max_age_seconds", "cache.max_age_seconds", "STRATA_CACHE_MAX_AGE_SECONDS"),
    Source("cache_shadow_share", "cache.shadow_share", "STRATA_CACHE_SHADOW_SHARE"),
    Source("cache_memory_mb", "cache.memory_mb", "STRATA_CACHE_MEMORY_MB"),
    Source("encoder", "encoder.name", "STRATA_ENCODER"),
    Source("encoder_path", "encoder.path", "STRATA_ENCODER_PATH"),
    Source("encoder_cache", "encoder.cache", "STRATA_ENCODER_CACHE"),
    Source("encoder_url", "encoder.url", "STRATA_ENCODER_URL"),
    Source("encoder_model", "encoder.model", "STRATA_ENCODER_MODEL"),
    Source("encoder_dimension", "encoder.dimension", "STRATA_ENCODER_DIMENSION"),
    Source("encoder_key", "encoder.key", "STRATA_ENCODER_KEY", secret=True),
    Source("routing_core", "routing.core", "STRATA_ROUTING_CORE"),
)


def load(environment: Mapping[str, str] = os.environ, file: Path = FILE) -> Settings:
    """The settings in force. Raises `InvalidSetting` that names every fault, not the first."""
    return _load(environment, file)[0]


def as_text(value: object) -> str:
    """A value of a setting as the file spells it, strings without their quotes; nothing where it is not set."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Effective(Struct, frozen=True):
    """A setting in force, as text, and where it came from. A secret is not shown."""

    key: str
    variable: str
    value: str
    origin: str


def explain(environment: Mapping[str, str] = os.environ, file: Path = FILE) -> list[Effective]:
    """Every setting in force, in the order of the reference. Raises as `load`."""
    settings, written = _load(environment, file)
    shown = []
    for source in SOURCES:
        value = getattr(settings, source.field)
        text = "(hidden)" if source.secret and value is not None else as_text(value)
        if environment.get(source.variable):
            origin = f"environment: {source.variable}"
        else:
            origin = str(file) if source.key in written else "default"
        shown.append(Effective(source.key, source.variable, text, origin))
    for tier in settings.tiers:
        limits = msgspec.structs.asdict(tier)
        name = limits.pop("name")
        shown += [
            Effective(f"{TIERS}.{name}.{key}", "", as_text(value), str(file))
            for key, value in limits.items()
            if value is not None
        ]
    return shown


def _load(environment: Mapping[str, str], file: Path) -> tuple[Settings, Mapping[str, Any]]:
    """The settings in force, and what the file says of them."""
    tree = _read(file)
    tiers, faults = _tiers(tree, file)
    written = _flat(tree)
    faults += [_unknown(file, key) for key in written if key not in {source.key for source in SOURCES}]
    fields: dict[str, Any] = {"tiers": tiers}
    for source in SOURCES:
        try:
            fields |= _field(source, environment, written, file)
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise InvalidSetting("\n  ".join(["settings that cannot be used:", *faults]), hint="see docs/cli.md")
    return Settings(**fields), written


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


def _tiers(tree: dict[str, Any], file: Path) -> tuple[tuple[Tier, ...], list[str]]:
    """The tiers that the file defines, taken out of it, and what is wrong with them."""
    limits = tree.get("limits")
    tables = limits.pop("tiers", {}) if isinstance(limits, dict) else {}
    tiers: list[Tier] = []
    faults: list[str] = []
    for name, table in tables.items() if isinstance(tables, dict) else [("tiers", tables)]:
        where = f"{file}: {TIERS}.{name}"
        if name in BUILT_IN or not isinstance(table, dict) or _TIER.fullmatch(name) is None:
            faults.append(f"{where}: a tier is a table with a name of its own: a-z, 0-9, '-' and '_'")
            continue
        try:
            tiers.append(msgspec.convert(table | {"name": name}, _Tier))
        except msgspec.ValidationError as error:
            faults.append(f"{where}: {error}")
    return tuple(tiers), faults


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
        raise ValueError(f"{where} = {shown}: {error}{_possible(_TYPES[source.field])}") from None


def _possible(type_: Any) -> str:
    """What a setting may be that takes one of few words."""
    words = (
        ["true", "false"] if type_ is bool else [word for word in get_args(type_) if isinstance(word, str)]
    )
    return f" (it is one of {', '.join(words)})" if words else ""


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
