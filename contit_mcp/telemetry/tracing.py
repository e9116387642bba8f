"""Export spans, if the extra `otel` is installed and OpenTelemetry's environment variables name a collector."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from contit_mcp import __version__
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

_WANTED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LONGEST_ATTRIBUTE = 256  # the SDK's spans hold the method and the request id as callers send them
_FLUSH_SECONDS = 0.3  # to send the last spans; the exporter itself waits for a hanging collector for 10 s and more


@contextmanager
def exported_traces() -> Iterator[None]:
    """Export spans while inside, if the environment names a collector. No attribute contains a prompt or an answer."""
    if not any(os.environ.get(name) for name in _WANTED) or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning("tracing.not_installed", hint="To export traces, in the clone: pip install '.[otel]'")
        yield
        return
    name = os.environ.get("OTEL_SERVICE_NAME", "contit-mcp")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}),
        span_limits=SpanLimits(max_attribute_length=_LONGEST_ATTRIBUTE),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    log.info("tracing.exporting")
    try:
        yield
    finally:
        last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(_FLUSH_SECONDS)
