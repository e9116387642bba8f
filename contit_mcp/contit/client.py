"""The three endpoints of Contit's AI assistant as three methods."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import anyio
import httpx
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from contit_mcp.contit.auth import Credential
from contit_mcp.contit.exchange import Exchange
from contit_mcp.contit.models import RunStatus, StartedRun, ThreadResponse
from contit_mcp.contit.paths import START_PATH, check_id, response_path, status_path
from contit_mcp.contit.responses import Answer, parse
from contit_mcp.contit.retries import (
    GracePolicy,
    RetryPolicy,
    forgiving_lag,
    read_may_be_repeated,
    retrying,
    start_may_be_repeated,
)
from contit_mcp.contit.transport import HTTPX_ERRORS, translate
from contit_mcp.contit.untrusted_text import without_hidden_characters
from contit_mcp.errors import APITimeoutError
from contit_mcp.telemetry.call_stats import current_tally

_tracer = trace.get_tracer("contit_mcp")
ModelT = TypeVar("ModelT", bound=BaseModel)


class ContitClient:
    """Contit's AI assistant over HTTP. Every method raises `APIError` and nothing of httpx.

    Args:
        http: From `build_http_client`.
        auth: The credential; none where it is only to be seen whether Contit is there.
        retry: How failed requests are repeated.
        grace: How long a 404 may be replication lag.
        start_seconds: The longest that sending a start may take, however slowly its bytes come. It cannot be
            cancelled meanwhile, so it stays under the 25 s that the most impatient hosts are given.
        read_seconds: The longest that a read may take, retries included, when the caller sets no deadline.
        sending: Bounds the sending of a start by seconds, as `anyio.fail_after` does; a shutdown may shorten it.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        auth: Credential | None = None,
        retry: RetryPolicy | None = None,
        grace: GracePolicy | None = None,
        start_seconds: float = 20.0,
        read_seconds: float = 20.0,
        sending: Callable[[float], AbstractContextManager[object]] = anyio.fail_after,
    ) -> None:
        self._exchange = Exchange(http)
        self._auth = auth
        self._retry = retry or RetryPolicy()
        self._grace = grace or GracePolicy()
        self._start_seconds = start_seconds
        self._read_seconds = read_seconds
        self._sending = sending

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

        Sending and keeping the ids is one step that cancellation cannot cut: it takes effect after it.

        Args:
            prompt: The question.
            thread_id: The conversation to continue.
            keep: Stores the ids, before anything can be lost.
            deadline: On the event loop's clock; no retry begins after it.
            before: Called before each sending; what it raises ends the attempts.

        Raises:
            APIConnectionError: With `may_have_arrived`, the run may exist all the same.
            APIError: Contit refused or could not.
            InvalidArgumentError: The thread id cannot be one.
        """
        body = {"threadId": None if thread_id is None else check_id("thread_id", thread_id), "prompt": prompt}

        async def attempt() -> StartedRun:
            before()
            with anyio.CancelScope(shield=True):
                try:
                    with self._sending(self._start_seconds):
                        started = await self._ask("POST", START_PATH, StartedRun, body)
                except TimeoutError as exc:
                    raise _took_too_long() from exc
                await keep(started)
            return started

        return await retrying(attempt, may_repeat=start_may_be_repeated, policy=self._retry, deadline=deadline)

    async def run_status(
        self, thread_id: str, run_id: str, *, just_started: bool = False, deadline: float | None = None
    ) -> RunStatus:
        """Ask where a run stands.

        Args:
            thread_id: The run's thread.
            run_id: The run.
            just_started: Whether a 404 may be replication lag.
            deadline: On the event loop's clock; no retry begins after it.

        Raises:
            NotFoundError: Contit does not know the thread or run.
            APIError: Contit refused or could not.
            InvalidArgumentError: An id cannot be one.
        """
        path = status_path(thread_id, run_id)
        if just_started:
            return await forgiving_lag(lambda: self._read(path, RunStatus, deadline), policy=self._grace)
        return await self._read(path, RunStatus, deadline)

    async def thread_response(
        self, thread_id: str, *, just_completed: bool = False, deadline: float | None = None
    ) -> str:
        """Read the thread's latest answer, without hidden characters. Contit takes no run id here.

        Raises:
            NotFoundError: Contit does not know the thread, or it has no answer.
            APIError: Contit refused or could not.
            InvalidArgumentError: The id cannot be one.
        """
        path = response_path(thread_id)
        if just_completed:
            answer = await forgiving_lag(lambda: self._read(path, ThreadResponse, deadline), policy=self._grace)
        else:
            answer = await self._read(path, ThreadResponse, deadline)
        return without_hidden_characters(answer.text)

    async def _read(self, path: str, model: type[ModelT], deadline: float | None) -> ModelT:
        until = anyio.current_time() + self._read_seconds
        with anyio.CancelScope(deadline=until):
            return await retrying(
                lambda: self._ask("GET", path, model),
                may_repeat=read_may_be_repeated,
                policy=self._retry,
                deadline=until if deadline is None else deadline,
            )
        raise _took_too_long()

    async def _ask(
        self, method: str, path: str, model: type[ModelT], body: dict[str, str | None] | None = None
    ) -> ModelT:
        with _tracer.start_as_current_span(
            f"{method} {_SPAN_NAMES[model]}",
            kind=SpanKind.CLIENT,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                answer = await self._send(method, path, body)
            except HTTPX_ERRORS as exc:
                current_tally().statuses["none"] += 1
                error = translate(exc)
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise error from exc
            span.set_attribute("http.request.method", method)
            span.set_attribute("http.response.status_code", answer.status_code)
            if not answer.is_success:
                span.set_status(StatusCode.ERROR)
            return parse(answer, model)

    async def _send(self, method: str, path: str, body: dict[str, str | None] | None) -> Answer:
        """Send it with the credential; after a 401 once more, where there is another one."""
        if self._auth is None:
            return await self._exchange.send(method, path, body=body)
        header = await self._auth.header()
        answer = await self._exchange.send(method, path, body=body, credential=header)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            other = await self._auth.instead_of(header)
            if other is not None:
                answer = await self._exchange.send(method, path, body=body, credential=other)
        return answer


_SPAN_NAMES: dict[type[BaseModel], str] = {
    StartedRun: "/ai-assistant/thread",
    RunStatus: "/ai-assistant/thread/{threadId}/run/{runId}/status",
    ThreadResponse: "/ai-assistant/thread/{threadId}/response",
}
"""Paths without ids, as the names of spans want them."""


def _took_too_long() -> APITimeoutError:
    return APITimeoutError(
        "Contit did not finish its answer in time.", hint="Try again in a little while.", may_have_arrived=True
    )
