"""Spans -> a collector, by OTLP over HTTP; the one place that knows OpenTelemetry.

A thread of the library sends them in batches; what the collector does not take is lost, and
holds nothing up. Must never know: what spans stand for.
"""

from __future__ import annotations

import logging
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from stratarouter_runtime.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.observability.spans import Span

PATH: Final = "/v1/traces"
SERVICE: Final = "stratarouter-runtime"
_PATIENCE: Final = 2.0
"""Seconds that one request may take with all its repetitions, and that sending gets at the end."""


class Exporter:
    """Sends spans to the collector at `endpoint`, a base address. Raises `InvalidSetting` without the extra."""

    def __init__(self, endpoint: str, version: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise InvalidSetting(
                f"traces are to be sent to {endpoint}, but OpenTelemetry is not installed",
                hint="install stratarouter-runtime[otel], or leave the endpoint out",
            ) from error
        self._resource = Resource.create({"service.name": SERVICE, "service.version": version})
        self._scope = InstrumentationScope(SERVICE, version)
        self._processor: Any = BatchSpanProcessor(
            OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=_PATIENCE)
        )
        # What the library cannot send it says again and again, in a thread: once is a line of ours.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def send(self, trace: str, spans: Sequence[Span]) -> None:
        """Hand spans of one trace on; returns at once."""
        for span in spans:
            self._processor.on_end(self._readable(trace, span))

    def close(self) -> None:
        """Send what waits, for a few seconds at most: what then still waits is lost. Blocks."""
        sending = Thread(target=self._processor.shutdown, daemon=True)
        sending.start()
        sending.join(2 * _PATIENCE)

    def _readable(self, trace: str, span: Span) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - an extra
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - an extra

        return ReadableSpan(
            name=span.name,
            context=_context(trace, span.id),
            parent=_context(trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            kind=SpanKind.CLIENT if span.remote else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.failure) if span.failure else Status(StatusCode.UNSET),
            start_time=span.start * 1_000,
            end_time=span.end * 1_000,
            instrumentation_scope=self._scope,
        )


def _context(trace: str, span: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 - an extra

    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(1))
