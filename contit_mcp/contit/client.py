"""The three endpoints of Contit's AI assistant as three methods."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import anyio
import httpx
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from contit_mcp.contit.retries import (
    Backoff,
    GracePolicy,
    RetryPolicy,
    forgiving_lag,
    retrying,
    start_may_be_repeated,
)
from contit_mcp.contit.transport import ENDPOINT, send
from contit_mcp.contit.wire import (
    START_PATH,
    RunStatus,
    StartedRun,
    ThreadResponse,
    check_id,
    parse,
    response_path,
    status_path,
    without_hidden_characters,
)
from contit_mcp.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    RateLimitError,
)
from contit_mcp.telemetry.call_stats import Reachability

_tracer = trace.get_tracer("contit_mcp")
ModelT = TypeVar("ModelT", bound=BaseModel)
_Ids = tuple[str | None, str | None]


class ContitClient:
    """Contit's AI assistant over HTTP.

    Every method raises `APIError`, or `InvalidArgumentError` for an id, and nothing of httpx.

    Args:
        http: From `build_http_client`.
        auth: The credential (see `auth`). Without one, Contit refuses every request.
        retry: How failed requests are repeated.
        grace: How long a 404 may be replication lag.
        start_seconds: The longest that sending a start may take, however slowly its bytes come. It cannot be
            cancelled meanwhile, so it stays under the 25 s that the most impatient hosts are given.
        read_seconds: The longest that a read may take, retries included, when the caller sets no deadline.
        sending: Bounds the sending of a start by seconds, as `anyio.fail_after` does; a shutdown may shorten it.
        reachability: Judges whether Contit answers; shared by the clients of one process.

    Attributes:
        backoff: Slows polls and starts down together; every request reports its outcome here.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        auth: httpx.Auth | None = None,
        retry: RetryPolicy | None = None,
        grace: GracePolicy | None = None,
        start_seconds: float = 20.0,
        read_seconds: float = 20.0,
        sending: Callable[[float], AbstractContextManager[object]] = anyio.fail_after,
        reachability: Reachability | None = None,
    ) -> None:
        self.backoff = Backoff()
        self._http = http
        self._base = str(http.base_url).rstrip("/")
        self._auth = auth
        self._retry = retry or RetryPolicy()
        self._grace = grace or GracePolicy()
        self._start_seconds = start_seconds
        self._read_seconds = read_seconds
        self._sending = sending
        self._reachability = reachability or Reachability()

    async def start_run(
        self,
        prompt: str,
        thread_id: str | None,
        *,
        keep: Callable[[StartedRun], Awaitable[None]],
        deadline: float,
        before: Callable[[], None] = lambda: None,
    ) -> StartedRun:
        """Start a run; a new conversation when `thread_id` is None.

        Cancellation takes effect before the start is sent or after its ids are stored, never between.

        Args:
            prompt: The question.
            thread_id: The conversation to continue.
            keep: Stores the ids, before anything can be lost.
            deadline: On the event loop's clock; no retry begins after it.
            before: Called before each sending; what it raises ends the attempts.

        Raises:
            APIConnectionError: With `may_have_arrived`, the run may exist all the same.
            RateLimitError: Contit asked for a pause until after the deadline.
        """
        body = {"threadId": None if thread_id is None else check_id("thread_id", thread_id), "prompt": prompt}

        async def attempt() -> StartedRun:
            before()
            with anyio.CancelScope(shield=True):
                try:
                    with self._sending(self._start_seconds):
                        started = await self._ask("POST", START_PATH, StartedRun, body)
                except TimeoutError as exc:
                    raise self._took_too_long() from exc
                await keep(started)
            return started

        await self.backoff.admit_start(self._retry.shortest, deadline)
        return await retrying(
            attempt,
            may_repeat=start_may_be_repeated,
            policy=self._retry,
            deadline=deadline,
            backoff=self.backoff,
        )

    async def run_status(
        self, thread_id: str, run_id: str, *, just_started: bool = False, deadline: float | None = None
    ) -> RunStatus:
        """Return the state of a run.

        Args:
            thread_id: The run's thread.
            run_id: The run.
            just_started: Whether a 404 may be replication lag.
            deadline: On the event loop's clock; no retry begins after it.

        Raises:
            NotFoundError: Contit does not know the thread or run.
        """
        path, ids = status_path(thread_id, run_id), (thread_id, run_id)
        return await self._read(path, RunStatus, ids, deadline, lagging=just_started)

    async def thread_response(
        self, thread_id: str, *, just_completed: bool = False, deadline: float | None = None
    ) -> str:
        """Return the thread's latest answer, without hidden characters. Contit takes no run id here.

        Raises:
            NotFoundError: Contit does not know the thread, or it has no answer.
        """
        path, ids = response_path(thread_id), (thread_id, None)
        answer = await self._read(path, ThreadResponse, ids, deadline, lagging=just_completed)
        return without_hidden_characters(answer.text)

    async def _read(
        self, path: str, model: type[ModelT], ids: _Ids, deadline: float | None, *, lagging: bool
    ) -> ModelT:
        """Read what a path answers; `lagging` says that a 404 may be replication lag."""
        if lagging:
            return await forgiving_lag(
                lambda: self._read(path, model, ids, deadline, lagging=False), policy=self._grace
            )
        until = anyio.current_time() + self._read_seconds
        with anyio.CancelScope(deadline=until):
            return await retrying(
                lambda: self._ask("GET", path, model, ids=ids),
                policy=self._retry,
                deadline=until if deadline is None else deadline,
                backoff=self.backoff,
            )
        raise self._took_too_long()

    async def _ask(
        self,
        method: str,
        path: str,
        model: type[ModelT],
        body: dict[str, str | None] | None = None,
        *,
        ids: _Ids = (None, None),
    ) -> ModelT:
        """Send one request, report its outcome to the backoff, and return the answer."""
        endpoint, route = _ENDPOINTS[model]
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        request = self._http.build_request(
            method,
            self._base + path,
            content=content,
            headers=None if body is None else {"Content-Type": "application/json"},
            extensions={ENDPOINT: endpoint},
        )
        on_a_thread = body is not None and body["threadId"] is not None
        with _tracer.start_as_current_span(
            f"{method} {route}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("http.request.method", method)
            _set_ids(span, *ids)
            try:
                with self._reachability.waiting(read=body is None):
                    response = await send(self._http, request, auth=self._auth)
                span.set_attribute("http.response.status_code", response.status_code)
                answer = parse(response, model)
            except APIError as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                self._report(error, on_a_thread=on_a_thread)
                raise
            if isinstance(answer, StartedRun):
                _set_ids(span, answer.thread_id, answer.run_id)
            self._succeeded()
            return answer

    def _report(self, error: APIError, *, on_a_thread: bool) -> None:
        match error:
            case InternalServerError(status_code=500) if on_a_thread:
                pass  # it is expected to mean that the thread is busy (docs/contit-api.md, "Not documented", 4)
            case APIError(__cause__=APIError() | httpx.PoolTimeout()):
                pass  # the token endpoint failed, or this process has too much to do: Contit was not asked
            case RateLimitError() | InternalServerError() | APIConnectionError():
                self._failed(error)
            case _:
                self._succeeded()

    def _succeeded(self) -> None:
        self.backoff.succeeded()
        self._reachability.answered()

    def _failed(self, error: APIError) -> None:
        self.backoff.failed(error)
        self._reachability.failed(str(error.status_code) if isinstance(error, APIStatusError) else type(error).__name__)

    def _took_too_long(self) -> APITimeoutError:
        error = APITimeoutError(
            "Contit did not finish its answer in time.", hint="Try again in a little while.", may_have_arrived=True
        )
        self._failed(error)
        return error


def _set_ids(span: trace.Span, thread_id: str | None, run_id: str | None) -> None:
    for name, value in (("contit.thread_id", thread_id), ("contit.run_id", run_id)):
        if value is not None:
            span.set_attribute(name, value)


_ENDPOINTS: dict[type[BaseModel], tuple[str, str]] = {
    StartedRun: ("start", "/ai-assistant/thread"),
    RunStatus: ("status", "/ai-assistant/thread/{threadId}/run/{runId}/status"),
    ThreadResponse: ("response", "/ai-assistant/thread/{threadId}/response"),
}
"""The name of each endpoint, and its path without ids for the name of a span."""
