"""The three endpoints of Contit's AI assistant as three methods."""

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import httpx
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from contit_mcp import errors
from contit_mcp.contit import wire
from contit_mcp.contit.retries import Backoff, RetryPolicy, retrying, start_may_be_repeated
from contit_mcp.contit.transport import ENDPOINT, send
from contit_mcp.telemetry.call_stats import Reachability

_tracer = trace.get_tracer("contit_mcp")
ModelT = TypeVar("ModelT", bound=BaseModel)

# The name and the route of each endpoint.
_ROUTES: dict[type[BaseModel], tuple[str, str]] = {
    wire.StartedRun: ("start", wire.START),
    wire.RunStatus: ("status", wire.STATUS),
    wire.ThreadResponse: ("response", wire.RESPONSE),
}

# How long sending a start may take. It cannot be cancelled, so this is under the shortest usual wait of a call, 25 s.
_START_SECONDS = 20.0
# A 404 right after a start, or right after `completed`, may be replication lag: it is retried for this long.
_LAG_SECONDS = 3.0
_LAG = RetryPolicy(attempts=8, shortest=0.4, longest=0.4, jitter=0.0)


@dataclass(eq=False, repr=False)
class ContitClient:
    """Contit's AI assistant over HTTP. Its methods raise `APIError`, and `InvalidArgumentError` for an invalid id.

    A read may take `read_seconds`, retries included. `sending` limits the sending of a start as `anyio.fail_after`
    does; a shutdown may shorten it. The clients of one process share its `reachability`.
    """

    http: httpx.AsyncClient
    auth: httpx.Auth | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    read_seconds: float = 20.0
    sending: Callable[[float], AbstractContextManager[object]] = anyio.fail_after
    reachability: Reachability = field(default_factory=Reachability)
    backoff: Backoff = field(default_factory=Backoff, init=False)

    async def start_run(
        self,
        prompt: str,
        thread_id: str | None,
        *,
        keep: Callable[[wire.StartedRun], Awaitable[None]],
        deadline: float,
        before: Callable[[], None] = lambda: None,
    ) -> wire.StartedRun:
        """Start a run, on a new thread if `thread_id` is None. No retry begins after the deadline.

        `keep` stores the ids. Cancellation takes effect before the start is sent or after `keep` has returned, never
        between. `before` is called each time before the start is sent; an error that it raises ends the attempts.
        """
        body = {"threadId": None if thread_id is None else wire.check_id("thread_id", thread_id), "prompt": prompt}

        async def attempt() -> wire.StartedRun:
            before()
            with anyio.CancelScope(shield=True):
                try:
                    with self.sending(_START_SECONDS):
                        started = await self._ask(wire.StartedRun, (), body)
                except TimeoutError as exc:
                    raise self._took_too_long() from exc
                await keep(started)
            return started

        await self.backoff.admit_start(self.retry.shortest, deadline)
        return await retrying(
            attempt, may_repeat=start_may_be_repeated, policy=self.retry, deadline=deadline, backoff=self.backoff
        )

    async def run_status(
        self, thread_id: str, run_id: str, *, just_started: bool = False, deadline: float | None = None
    ) -> wire.RunStatus:
        """Return the state of a run. A 404 may be replication lag if it was just started."""
        return await self._read(wire.RunStatus, (thread_id, run_id), deadline, lagging=just_started)

    async def thread_response(
        self, thread_id: str, *, just_completed: bool = False, deadline: float | None = None
    ) -> str:
        """Return the thread's latest answer, without hidden characters. Contit takes no run id here."""
        answer = await self._read(wire.ThreadResponse, (thread_id,), deadline, lagging=just_completed)
        return wire.without_hidden_characters(answer.text)

    async def _read(
        self, model: type[ModelT], ids: tuple[str, ...], deadline: float | None, *, lagging: bool
    ) -> ModelT:
        if lagging:
            return await retrying(
                lambda: self._read(model, ids, deadline, lagging=False),
                may_repeat=lambda error: isinstance(error, errors.NotFoundError),
                policy=_LAG,
                deadline=anyio.current_time() + _LAG_SECONDS,
            )
        until = anyio.current_time() + self.read_seconds
        with anyio.CancelScope(deadline=until):
            return await retrying(
                lambda: self._ask(model, ids),
                policy=self.retry,
                deadline=until if deadline is None else deadline,
                backoff=self.backoff,
            )
        raise self._took_too_long()

    async def _ask(
        self, model: type[ModelT], ids: tuple[str, ...], body: dict[str, str | None] | None = None
    ) -> ModelT:
        """Send one request, report its outcome to backoff and reachability, and return the parsed response."""
        endpoint, route = _ROUTES[model]
        method = "GET" if body is None else "POST"
        request = httpx.Request(  # not `build_request`, which merges the URL and the headers anew for each poll
            method,
            _url(str(self.http.base_url), route, *ids),
            headers=self.http.headers,
            json=body,
            extensions={ENDPOINT: endpoint, "timeout": self.http.timeout.as_dict()},
        )
        on_a_thread = body is not None and body["threadId"] is not None
        with _tracer.start_span(
            f"{method} {route}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attributes({"http.request.method": method, **_attributes(*ids)})
            try:
                with self.reachability.waiting(read=body is None):
                    response = await send(self.http, request, auth=self.auth)
                span.set_attribute("http.response.status_code", response.status_code)
                parsed = wire.parse(response, model)
            except errors.APIError as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                self._report(error, on_a_thread=on_a_thread)
                raise
            if isinstance(parsed, wire.StartedRun):
                span.set_attributes(_attributes(parsed.thread_id, parsed.run_id))
            self._report(None)
            return parsed

    def _report(self, error: errors.APIError | None, *, on_a_thread: bool = False) -> None:
        match error:
            case errors.InternalServerError(status_code=500) if on_a_thread:
                pass  # it is expected to mean that the thread is busy (docs/contit-api.md, "Not documented", 4)
            case errors.APIError(__cause__=errors.APIError() | httpx.PoolTimeout()):
                pass  # the token endpoint failed, or this process has too much to do: Contit was not asked
            case errors.RateLimitError() | errors.InternalServerError() | errors.APIConnectionError():
                self.backoff.failed(error)
                self.reachability.failed(str(getattr(error, "status_code", type(error).__name__)))
            case _:
                self.backoff.succeeded()
                self.reachability.answered()

    def _took_too_long(self) -> errors.APITimeoutError:
        error = errors.APITimeoutError(
            "Contit did not finish its response in time.", hint="Try again in a little while.", may_have_arrived=True
        )
        self._report(error)
        return error


@functools.lru_cache(maxsize=1_024)
def _url(base: str, route: str, *ids: str) -> httpx.URL:
    """Return the address of a route. It is cached, so that the polls of a run parse it once."""
    return httpx.URL(base.rstrip("/") + wire.path_of(route, *ids))


def _attributes(*ids: str) -> dict[str, str]:
    return dict(zip(("contit.thread_id", "contit.run_id"), ids, strict=False))
