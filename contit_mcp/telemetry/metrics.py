"""Metrics for a Prometheus server. No label names an owner: callers could fill the memory with series."""

import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from contit_mcp import __version__
from contit_mcp.errors import StartUnknownError, UnexpectedError
from contit_mcp.telemetry.call_stats import POOL, Event, Listener, RunState

_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 45, 60, 120, 240)  # the waits of hosts are among them
_RUN_SECONDS = (1, 2.5, 5, 10, 15, 25, 45, 60, 120, 240, 600, 1_800)
_SHORT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # what normally takes milliseconds
_LAG_PAUSE_SECONDS = 0.5

RUN_ENDS = ("completed", "run_failed", "no_end_seen", "not_found", "no_answer")
"""Every `end` of a run. Each series starts at 0, so that Prometheus sees its first event as an increase."""


class Metrics(Listener):
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, buckets=_SHORT_SECONDS, registry=registry)

        # Runs: what became of the questions, however they were asked
        self._runs = counter("contit_runs", "Runs by how they ended, when their end was first seen.", ["end"])
        self._run_seconds = histogram(
            "contit_run_seconds", "From a run's start until its end was seen.", ["end"], buckets=_RUN_SECONDS
        )
        for end in RUN_ENDS:
            self._runs.labels(end)
            self._run_seconds.labels(end)
        self._runs_in: dict[RunState, Gauge] = {
            "waited for": gauge("contit_mcp_runs_in_flight", "Runs that callers of this process wait for."),
            "polled": gauge("contit_mcp_pollers", "Runs that this process polls."),
        }

        # Calls
        self._calls = counter("contit_mcp_calls", "Tool calls, without polls of tasks.", ["tool", "outcome"])
        text = "Tool calls, without those that returned a task."
        self._seconds = histogram("contit_mcp_call_seconds", text, ["tool"], buckets=_CALL_SECONDS)
        self.calls_in_flight = gauge("contit_mcp_calls_in_flight", "Calls under way: of tools, tasks and resources.")
        self._dropped = counter("contit_mcp_dropped_arguments", "Arguments dropped as no parameter has their name.")
        left = counter("contit_mcp_callers_left", "Calls whose caller went away before their result.")
        unknown = counter("contit_mcp_unknown_starts", "Calls that may or may not have started a run.")
        crashed = counter("contit_mcp_crashed_calls", "Calls that a bug in this program ended.")
        # Without labels, so that they start at 0, as above.
        self._outcomes = {"cancelled": left, StartUnknownError.__name__: unknown, UnexpectedError.__name__: crashed}

        # Contit
        text = "Requests to Contit; those of status 'none' got no response, those of 'pool' no connection of ours."
        self._upstream = counter("contit_mcp_upstream_requests", text, ["endpoint", "status"])
        text = "From sending a request to Contit to the end of its response."
        self._upstream_seconds = histogram("contit_mcp_upstream_seconds", text, ["endpoint"])
        self._connection_seconds = histogram("contit_mcp_connection_wait_seconds", "Waits for one of our connections.")
        self.upstream_in_flight = gauge("contit_mcp_upstream_in_flight", "Requests to Contit without a response yet.")
        self.upstream_oldest = gauge("contit_mcp_upstream_oldest_seconds", "Age of the oldest request to Contit.")
        self.reachable = gauge("contit_mcp_contit_reachable", "Whether Contit answers, and not with 429 or 5xx.")
        self.backoff = gauge("contit_mcp_backoff_stretch", "Factor by which pauses are longer, to spare Contit.")
        self._events: dict[Event, Counter] = {
            "retry": counter("contit_mcp_upstream_retries", "Requests to Contit that were repeated."),
            "poll": counter("contit_mcp_polls", "Polls of Contit for the end of a run."),
            "join": counter("contit_mcp_deduplicated_asks", "Asks that got the run of an earlier, identical ask."),
            "held": counter("contit_mcp_held_starts", "Starts not sent because Contit asked for a longer pause."),
        }

        # The store
        text = "How long operations of the run store took."
        self._store_seconds = histogram("contit_mcp_store_seconds", text, ["operation"])
        self._store_errors = counter("contit_mcp_store_errors", "Times that the run store could not be used.")
        self._store_usable = gauge("contit_mcp_store_usable", "Whether the run store can be used; if not, memory is.")
        self._store_usable.set(1)
        self._store_slow = gauge("contit_mcp_store_slow", "Whether operations of the store take 0.25 s or more.")
        self._store_uses: dict[object, float] = {}
        store_oldest = gauge("contit_mcp_store_oldest_seconds", "How long the oldest operation of the store has taken.")
        store_oldest.set_function(
            lambda: max((anyio.current_time() - began for began in self._store_uses.values()), default=0.0)
        )

        # This server
        self._rejected = counter("contit_mcp_rejected_requests", "HTTP requests that were refused.", ["reason"])
        self._requests = counter("contit_mcp_http_requests", "HTTP requests by path and status.", ["path", "status"])
        self.under_way = gauge("contit_mcp_requests_under_way", "Requests to /mcp under way.", ["kind"])
        self.most_under_way = gauge("contit_mcp_requests_under_way_limit", "Requests to /mcp that are served at once.")
        self.limits_local = gauge("contit_mcp_limits_local_only", "Whether limits apply per replica, without Redis.")
        self._lag = histogram("contit_mcp_event_loop_lag_seconds", "By how much timers of the event loop are late.")
        self.ready = gauge("contit_mcp_ready", "Whether this server takes calls.")

    def set_build_info(self, *, store: str, schema: int | None) -> None:
        """Set the versions of this process. One with another kind of store, or another schema, sees other runs."""
        info = Info("contit_mcp_build", "The versions that run, and which runs they share.", registry=self.registry)
        versions = {"version": __version__, "python": platform.python_version()}
        info.info({**versions, "store": store, "schema": "" if schema is None else str(schema)})

    async def watch_event_loop(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        while True:
            began = anyio.current_time()
            await anyio.sleep(_LAG_PAUSE_SECONDS)
            self._lag.observe(max(0.0, anyio.current_time() - began - _LAG_PAUSE_SECONDS))

    def count_call(self, tool: str, outcome: str, seconds: float, *, dropped: int, trace_id: str | None) -> None:
        """Count a finished tool call; `outcome` is the result's status, "task", the error's class, or "cancelled"."""
        self._calls.labels(tool, outcome).inc()
        if outcome != "task":  # the question is not answered yet: `run_ended` reports how long that takes
            self._seconds.labels(tool).observe(seconds, {"trace_id": trace_id} if trace_id else None)
        self._dropped.inc(dropped)
        if (counter := self._outcomes.get(outcome)) is not None:
            counter.inc()

    def count_request(self, path: str, status: int, refused: str | None) -> None:
        """Count an HTTP request to this server; `path` is one of ours or "other"."""
        self._requests.labels(path, str(status)).inc()
        if refused:
            self._rejected.labels(refused).inc()

    def on_request(self, endpoint: str, status: str, seconds: float) -> None:
        """Count a finished request to Contit."""
        self._upstream.labels(endpoint, status).inc()
        if status != POOL:
            self._upstream_seconds.labels(endpoint).observe(seconds)

    def on_connection(self, seconds: float) -> None:
        """Count a wait for a connection of our own."""
        self._connection_seconds.observe(seconds)

    def on_event(self, event: Event) -> None:
        """Count another event of a call."""
        if event != "store_error":  # counted by `store_use`, which also sees errors outside of calls
            self._events[event].inc()

    def run_ended(self, end: str, seconds: float | None) -> None:
        """Count the end of a run."""
        self._runs.labels(end).inc()
        if seconds is not None:
            self._run_seconds.labels(end).observe(seconds)

    def run_in(self, state: RunState) -> AbstractContextManager[object]:
        """Count a run as long as it is in the state."""
        return self._runs_in[state].track_inprogress()

    @contextmanager
    def store_use(self, operation: str) -> Iterator[None]:
        """Count a use of the store, and its failure."""
        use = object()
        self._store_uses[use] = anyio.current_time()
        try:
            with self._store_seconds.labels(operation).time(), self._store_errors.count_exceptions():
                yield
        finally:
            del self._store_uses[use]

    def store_usable(self, *, usable: bool) -> None:
        """Note whether the store can be used."""
        self._store_usable.set(usable)

    def store_slow(self, *, slow: bool) -> None:
        """Note whether the store is slow."""
        self._store_slow.set(slow)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics as the scraper accepts them, and their media type. OpenMetrics has trace ids."""
        encoder, media_type = choose_encoder(accept)
        return encoder(self.registry), media_type
