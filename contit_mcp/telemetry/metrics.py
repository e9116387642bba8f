"""What a Prometheus server can scrape. Owners are no labels: a label a caller would let callers fill the memory."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from contit_mcp import __version__
from contit_mcp.errors import StartUnknownError, UnexpectedError
from contit_mcp.telemetry.call_stats import FinishedCall

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 45, 60, 120, 240)
"""Bounds that fall on what matters: the waits of hosts."""


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._calls = Counter(
            "contit_mcp_calls",
            "Tool calls, and requests about tasks, by tool or method and outcome.",
            ["tool", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "contit_mcp_call_seconds", "How long tool calls took.", ["tool"], buckets=_SECONDS, registry=registry
        )
        self.in_flight = Gauge("contit_mcp_calls_in_flight", "Tool calls under way.", registry=registry)
        self._upstream = Counter(
            "contit_mcp_upstream_requests",
            "Requests to Contit by status; 'none' got no answer, 'pool' no connection of our own.",
            ["status"],
            registry=registry,
        )
        self._retries = Counter(
            "contit_mcp_upstream_retries", "Requests to Contit that were repeated.", registry=registry
        )
        self._polls = Counter("contit_mcp_polls", "Questions to Contit whether a run has ended.", registry=registry)
        self._joins = Counter(
            "contit_mcp_joined_calls", "Calls that joined the run of an earlier one.", registry=registry
        )
        self._left = Counter(
            "contit_mcp_callers_left", "Calls whose caller went away while its run went on.", registry=registry
        )
        # Unlike a label's first value, these are there as 0 from the start, so that a first one is seen as a rise.
        self._unknown_starts = Counter(
            "contit_mcp_unknown_starts", "Calls told that their start was sent and whether it runs is not known.",
            registry=registry,
        )  # fmt: skip
        self._crashed = Counter(
            "contit_mcp_crashed_calls", "Calls that a fault of this program ended.", registry=registry
        )
        self._store_errors = Counter(
            "contit_mcp_store_errors", "Times that the run store could not be used.", registry=registry
        )
        self._rejected = Counter(
            "contit_mcp_rejected_requests", "HTTP requests that were refused, by reason.", ["reason"], registry=registry
        )
        self._requests = Counter(
            "contit_mcp_http_requests", "HTTP requests by path and status.", ["path", "status"], registry=registry
        )
        self.under_way = Gauge(
            "contit_mcp_requests_under_way", "Requests to /mcp under way: calls, and streams that listen.", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.most_under_way = Gauge(
            "contit_mcp_requests_under_way_limit", "How many of each kind are served at once.", registry=registry
        )
        self.ready = Gauge("contit_mcp_ready", "Whether this server takes calls.", registry=registry)
        info = Gauge("contit_mcp_build_info", "The version that runs.", ["version"], registry=registry)
        info.labels(__version__).set(1)

    def count_call(self, call: FinishedCall) -> None:
        """Count a finished tool call."""
        self._calls.labels(call.tool, call.outcome).inc()
        exemplar = {"trace_id": call.trace_id} if call.trace_id else None
        self._seconds.labels(call.tool).observe(call.seconds, exemplar)
        for status, times in call.stats.statuses.items():
            self._upstream.labels(status).inc(times)
        self._retries.inc(call.stats.retries)
        self._polls.inc(call.stats.polls)
        self._joins.inc(call.stats.joins)
        self._store_errors.inc(call.stats.store_errors)
        if call.outcome == "cancelled":
            self._left.inc()
        elif call.outcome == StartUnknownError.__name__:
            self._unknown_starts.inc()
        elif call.outcome == UnexpectedError.__name__:
            self._crashed.inc()

    def count_request(self, path: str, status: int, refused: str | None) -> None:
        """Count an HTTP request; `path` is one of ours or "other"."""
        self._requests.labels(path, str(status)).inc()
        if refused:
            self._rejected.labels(refused).inc()

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics as the scraper wants them, and their media type. OpenMetrics carries trace ids along."""
        encoder, media_type = choose_encoder(accept)
        return encoder(self.registry), media_type
