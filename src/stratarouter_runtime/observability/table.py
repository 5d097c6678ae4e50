"""Every metric there is, in one visible list: the reference, the dashboard and the alerts are held to it.

A line names a field of the statistics of one part; adding a part's figures takes lines here and
a source in `wiring`, nothing else. Labels are bounded: never a tenant, an execution or a path.
Must never know: how a part counts.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Unit: TypeAlias = Literal["", "seconds", "bytes", "usd", "tokens", "ratio"]

PREFIX: Final = "stratarouter_"


class Metric(Struct, frozen=True):
    """One family. `source` and `field` (with dots where it lies deeper) say whose figure it is.

    `labels` name the parts of its keys.
    """

    name: str
    kind: Kind
    help: str
    source: str
    field: str
    unit: Unit = ""
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name as Prometheus has it."""
        return PREFIX + self.name


def _counter(name: str, help_: str, of: str, *labels: str, unit: Unit = "") -> Metric:
    source, _, field = of.partition(".")
    return Metric(name, "counter", help_, source, field, unit, labels)


def _gauge(name: str, help_: str, of: str, *labels: str, unit: Unit = "") -> Metric:
    source, _, field = of.partition(".")
    return Metric(name, "gauge", help_, source, field, unit, labels)


def _histogram(name: str, help_: str, of: str, *labels: str, unit: Unit = "seconds") -> Metric:
    source, _, field = of.partition(".")
    return Metric(name, "histogram", help_, source, field, unit, labels)


METRICS: Final = (
    # Executions, steps, agents and routes: counted from facts once these are durable.
    _counter("executions_started_total", "Executions accepted.", "facts.started", "workflow"),
    _counter("executions_total", "Executions that ended, by how.", "facts.ended", "workflow", "status"),
    _histogram(
        "execution_duration_seconds",
        "From the acceptance of an execution to its end, waits included.",
        "facts.duration",
        "workflow",
    ),
    _gauge("executions_active", "Executions at work in this process.", "driver.active"),
    _gauge("executions_stopped", "Executions that stand still because their store failed.", "driver.stopped"),
    _counter("leases_lost_total", "Times the lease of this process was taken.", "driver.leases_lost"),
    _counter("executions_taken_up_total", "Executions that another process began.", "facts.taken_up"),
    _counter(
        "executions_forgotten_total", "Ended executions that retention took away.", "retention.executions"
    ),
    _counter("retention_failures_total", "Rounds of retention that failed.", "retention.failures"),
    _counter("steps_total", "Steps that came to their end, by what they did.", "facts.steps", "kind"),
    _counter("retries_total", "Attempts made because an earlier one failed.", "facts.retries"),
    _counter("agent_calls_total", "Calls of agents that ended, by how.", "facts.calls", "agent", "outcome"),
    _counter("agent_failures_total", "Failed calls of agents, by kind.", "facts.failures", "agent", "kind"),
    _histogram(
        "agent_call_duration_seconds",
        "Time in an agent, as its call reports it.",
        "facts.call_seconds",
        "agent",
    ),
    _counter(
        "agent_tokens_total",
        "Tokens that calls of agents took.",
        "facts.tokens",
        "agent",
        "direction",
        unit="tokens",
    ),
    _counter("agent_cost_usd_total", "What calls of agents cost.", "facts.cost", "agent", unit="usd"),
    _counter("route_decisions_total", "Routes decided, by what decided.", "facts.routes", "by"),
    _counter("facts_total", "Facts made durable.", "facts.facts"),
    # The store.
    _histogram(
        "store_commit_duration_seconds", "One commit, from its begin to its sync.", "store.commit_seconds"
    ),
    _histogram("store_sync_duration_seconds", "The sync at the end of a commit.", "store.sync_seconds"),
    _histogram("store_commit_writes", "Writes that shared one commit.", "store.batch", unit=""),
    _gauge("store_waiting_writes", "Writes that wait for a commit.", "store.waiting"),
    _counter("store_failures_total", "Commits that failed.", "store.failures"),
    # HTTP.
    _counter(
        "http_requests_total",
        "Requests answered, by the template of their route and the class of their status.",
        "http.requests",
        *("method", "route", "status"),
    ),
    _histogram(
        "http_request_duration_seconds",
        "From the headers of a request to the end of its answer.",
        "http.seconds",
        "route",
    ),
    _gauge("http_requests_active", "Requests being answered.", "http.active"),
    _gauge("event_streams", "Watchers of executions: open event streams, and who waits.", "feed.watchers"),
    # Agents behind their fences, and in their boxes.
    _gauge("breakers", "Circuit breakers of agents and tenants, by their state.", "agents.breakers", "state"),
    _counter("breaker_openings_total", "Times a circuit breaker has opened.", "agents.opened"),
    _gauge("sandbox_workers", "Processes that run code behind walls.", "cells.workers"),
    _counter("sandbox_calls_total", "Calls of code behind walls.", "cells.calls"),
    _counter("sandbox_failures_total", "Calls of code behind walls that failed.", "cells.failures", "kind"),
    _gauge("governor_cpu_cores", "Processors that may be given out.", "cells.governor.cpu"),
    _gauge("governor_cpu_used_cores", "Processors given out.", "cells.governor.cpu_used"),
    _gauge("governor_memory_bytes", "Memory to give out.", "cells.governor.memory", unit="bytes"),
    _gauge("governor_memory_used_bytes", "Memory given out.", "cells.governor.memory_used", unit="bytes"),
    _gauge("governor_waiting", "Calls that wait for room on the machine.", "cells.governor.waiting"),
    # Limits, reuse, and what waits.
    _counter(
        "limit_refusals_total", "Requests and executions refused, by policy.", "limits.refused", "policy"
    ),
    _gauge("limit_waiting", "Executions that wait for their turn.", "limits.waiting"),
    _counter(
        "cache_questions_total",
        "What became of questions to the cache, and of its answers.",
        "cache.outcomes",
        "outcome",
    ),
    _counter("cache_refusals_total", "Near answers that a gate refused.", "cache.refused", "gate"),
    _counter("cache_faults_total", "What went wrong in the cache and was survived.", "cache.faults", "fault"),
    _counter("cache_saved_usd_total", "What answers given again had cost.", "cache.saved_usd", unit="usd"),
    _counter("cache_saved_tokens_total", "Tokens that they had taken.", "cache.saved_tokens", unit="tokens"),
    _counter("cache_saved_seconds_total", "Time that they had taken.", "cache.saved_seconds", unit="seconds"),
    _gauge("coalescing_flights", "Work in flight that equal requests share.", "coalescing.flights"),
    _gauge("coalescing_waiters", "Requests that wait for such work.", "coalescing.waiters"),
    _gauge("batch_waiting", "Executions of batches that wait in their queues.", "batches.waiting"),
    _gauge("batch_working", "Executions of batches that are worked on.", "batches.working"),
    _counter("snapshots_written_total", "Snapshots of executions written.", "snapshots.written"),
    _counter("snapshots_used_total", "Executions brought back by a snapshot.", "snapshots.used"),
    _counter("snapshots_unusable_total", "Snapshots that were of no use.", "snapshots.unusable"),
    # Telling.
    _counter(
        "traces_total", "Executions whose trace was handed on, or why it was not.", "traces.traces", "outcome"
    ),
    _counter(
        "observer_failures_total", "Times an observer failed, and was passed over.", "observers.failures"
    ),
    # The process.
    _gauge("build_info", "1, with the version as its label.", "process.build", "version"),
    _gauge(
        "start_time_seconds",
        "When the process began, in seconds since the epoch.",
        "process.started",
        unit="seconds",
    ),
    _counter("cpu_seconds_total", "Processor time of this process.", "process.cpu_seconds", unit="seconds"),
    _gauge("resident_memory_bytes", "Memory that this process holds.", "process.memory", unit="bytes"),
    _gauge("open_files", "Files, sockets and pipes that are open.", "process.files"),
    _gauge("max_files", "How many may be open.", "process.max_files"),
    _gauge("threads", "Threads of this process.", "process.threads"),
    _histogram("loop_delay_seconds", "How late the event loop was to do what was due.", "loop.delay"),
)
"""In the order of the reference."""
