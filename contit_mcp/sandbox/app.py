"""The sandbox as one ASGI application: the AI assistant's three endpoints, the token endpoint, and the control endpoint."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import secrets
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import load_workspace
from contit_mcp.sandbox.faults import FaultPlan, fault_in_header, parse_faults
from contit_mcp.sandbox.options import DEFAULTS, Credentials, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord, SeenRequest
from contit_mcp.sandbox.scripted import ScriptedAnswers, load_answers, parse_answer
from contit_mcp.sandbox.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from contit_mcp.sandbox.faults import Endpoint, Fault

MAX_BODY_BYTES: Final = 1024 * 1024
"""Longer request bodies are refused with 413; a prompt is a few kilobytes at most."""

FAULT_HEADER: Final = "x-sandbox-fault"
"""The request header that orders a fault for its own request."""

CONTROL: Final = "/sandbox"
"""The path of the control endpoint."""

SAMPLE_TODAY: Final = dt.date(2026, 3, 20)
"""The date of "today" in the sample content, so that "last week" is always the same week."""

_PAGE: Final = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_MOST_REPORTED: Final = 1_000


class ConnectionDropped(ConnectionError):  # noqa: N818 - named after the event, as ConnectionResetError is
    """A fault ended the answer before its body.

    ASGI has no message that closes a connection. A server that gets an exception from an application whose answer
    has begun must close the connection: uvicorn does, and logs it. In memory (httpx.ASGITransport) the exception
    reaches the caller.
    """


class _RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.response = _problem(status, detail, headers)


def create_sandbox(
    options: SandboxOptions = DEFAULTS,
    *,
    clock: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Return a local Contit. Its `SandboxRecord`, to see requests and to add faults, is at `app.state.sandbox`.

    Args:
        options: How it behaves.
        clock: Returns seconds; runs and tokens end by it.
        new_id: Returns the part of an id after "thread_" or "run_"; by default random, or by `options.seed`.
        sleep: Waits for the faults that delay an answer.

    Raises:
        DataError: The content cannot be read.
        AnswersError: The scripted answers cannot be read.
    """
    sandbox = _Sandbox(options, clock, new_id or _ids(options.seed), sleep)
    if options.data is not None:
        sandbox.assistant  # noqa: B018 - so that unreadable content is an error now
    app = Starlette(
        routes=[
            sandbox.route("POST", "/ai-assistant/thread", "start", sandbox.start),
            sandbox.route("GET", "/ai-assistant/thread/{thread_id}/run/{run_id}/status", "status", sandbox.status),
            sandbox.route("GET", "/ai-assistant/thread/{thread_id}/response", "response", sandbox.response),
            sandbox.route("POST", "/connect/token", "token", sandbox.token),
            Route(CONTROL, sandbox.control, methods=["GET", "POST"]),
        ],
        exception_handlers={HTTPException: sandbox.elsewhere},
    )
    app.state.sandbox = sandbox.record
    return app


def _ids(seed: int | None) -> Callable[[], str]:
    if seed is None:
        return lambda: secrets.token_hex(12)
    numbers = random.Random(seed)
    return lambda: f"{numbers.getrandbits(96):024x}"


@dataclass
class _Exchange:
    """One request on its way to its answer."""

    request: Request
    fault: Fault | None = None


@dataclass
class _Sandbox:
    options: SandboxOptions
    clock: Callable[[], float]
    new_id: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]]
    credentials: Credentials = field(init=False)
    threads: Threads = field(init=False)
    record: SandboxRecord = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.credentials = Credentials(options, self.clock, self.new_id)
        self.threads = Threads(self.clock, self.new_id)
        answers = ScriptedAnswers(load_answers(options.answers) if options.answers else ())
        self.record = SandboxRecord(FaultPlan.of(options.faults), self.threads, answers, options.faults)

    @cached_property
    def assistant(self) -> Assistant:
        """The assistant; reading the sample content waits for the first prompt."""
        if self.options.data is None:
            return Assistant(load_workspace(), self.options.today or SAMPLE_TODAY)
        today = self.options.today or dt.datetime.now(dt.UTC).date()
        return Assistant(load_workspace(self.options.data), today)

    def route(
        self, method: str, path: str, endpoint: Endpoint, handler: Callable[[_Exchange], Awaitable[Response]]
    ) -> Route:
        """Return the route of an endpoint, as an ASGI application with its faults."""

        class Served:
            """Serves the endpoint."""

            async def __call__(_, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N805 - self is the sandbox
                await self.serve(endpoint, handler, scope, receive, send)

        return Route(path, Served(), methods=[method], name=endpoint)

    async def serve(
        self,
        endpoint: Endpoint,
        handler: Callable[[_Exchange], Awaitable[Response]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer one request, or drop its connection, and record it."""
        exchange = _Exchange(Request(scope, receive))
        at = self.clock()
        response: Response | None
        try:
            response = await self._answer(endpoint, handler, exchange)
        except _RefusedError as exc:
            response = exc.response
        except ClientDisconnect:
            return
        status = response.status_code if response else None
        self._note(exchange.request, endpoint, status, at, exchange.fault)
        if response is not None:
            await response(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        msg = "the sandbox dropped this connection, as a fault ordered"
        raise ConnectionDropped(msg)

    async def _answer(
        self, endpoint: Endpoint, handler: Callable[[_Exchange], Awaitable[Response]], exchange: _Exchange
    ) -> Response | None:
        """Return the answer; None: drop the connection."""
        ordered = exchange.request.headers.get(FAULT_HEADER)
        try:
            exchange.fault = fault_in_header(ordered, endpoint) if ordered else None
        except ValueError as exc:
            raise _RefusedError(400, f"X-Sandbox-Fault: {exc}") from exc
        exchange.fault = exchange.fault or self.record.plan.next_for(endpoint)
        if exchange.fault and exchange.fault.kind == "drop-before":
            return None
        if exchange.fault and (instead := _instead(exchange.fault)):
            return instead
        response = await handler(exchange)
        fault = exchange.fault
        if fault is None:
            return response
        if fault.seconds is not None and (fault.kind == "delay" or endpoint != "start"):
            await self.sleep(fault.seconds)
        return None if fault.kind in ("drop-before", "drop-after") else _damaged(fault, response)

    def _note(self, request: Request, endpoint: str, status: int | None, at: float, fault: Fault | None = None) -> None:
        path = bytes(request.scope.get("raw_path") or request.url.path.encode()).decode("ascii", "replace")
        self.record.note(SeenRequest(request.method, path, endpoint, status, at, fault))

    async def elsewhere(self, request: Request, exc: Exception) -> Response:
        """Answer a path or method that the sandbox does not know."""
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        self._note(request, "other", status, self.clock())
        return _problem(status, "The sandbox knows the AI assistant's three endpoints, /connect/token and /sandbox.")

    # The endpoints

    async def start(self, exchange: _Exchange) -> Response:
        """POST /ai-assistant/thread: start a run, in a new conversation or in a known one."""
        self._check_credential(exchange.request)
        prompt, thread_id = _start_body(await _read(exchange.request))
        scripted = self.record.answers.take(prompt)
        if scripted and scripted[0].fault and exchange.fault is None:
            exchange.fault = scripted[0].fault
            if exchange.fault.kind == "drop-before":
                return Response()
            if instead := _instead(exchange.fault):
                return instead
        thread = self.threads.new() if thread_id is None else self.threads.get(thread_id)
        if thread is None:
            raise _RefusedError(404, "The thread does not exist.")
        if self.options.reject_busy and thread.active(self.clock()):
            raise _RefusedError(409, "The thread already has an active run.")
        seconds = self.options.run_seconds
        text: str | None = None
        if scripted:
            answer, text = scripted
            seconds = seconds if answer.seconds is None else answer.seconds
        kind = exchange.fault.kind if exchange.fault else ""
        if exchange.fault and kind == "slow":
            seconds += exchange.fault.seconds or 0.0
        before = thread.last_turn()
        turn = Turn(text) if text is not None else self.assistant.reply(prompt, before)
        seconds = math.inf if kind == "endless" else seconds
        run = self.threads.start(thread, prompt, turn, seconds=seconds, fails=kind == "failed")
        return JSONResponse({"threadId": run.thread_id, "runId": run.run_id})

    async def status(self, exchange: _Exchange) -> Response:
        """GET /ai-assistant/thread/{threadId}/run/{runId}/status: the state of a run."""
        self._check_credential(exchange.request)
        ids = exchange.request.path_params
        run = self.threads.run(ids["thread_id"], ids["run_id"])
        if run is None:
            raise _RefusedError(404, "The thread or run does not exist.")
        fault = exchange.fault
        return JSONResponse({"status": fault.status_word if fault and fault.status_word else run.status(self.clock())})

    async def response(self, exchange: _Exchange) -> Response:
        """GET /ai-assistant/thread/{threadId}/response: the answer of the run that completed last."""
        self._check_credential(exchange.request)
        thread = self.threads.get(exchange.request.path_params["thread_id"])
        run = thread.latest_completed(self.clock()) if thread else None
        if run is None:
            raise _RefusedError(404, "The thread does not exist or has no completed run.")
        return JSONResponse({"response": run.turn.answer})

    async def token(self, exchange: _Exchange) -> Response:
        """POST /connect/token: an access token for the OAuth2 client, by client credentials in a form."""
        form = parse_qs((await _read(exchange.request)).decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = self.credentials.issue("".join(form.get("client_id", ())), "".join(form.get("client_secret", ())))
        if token is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        expires_in = int(self.options.token_seconds)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def control(self, request: Request) -> Response:
        """Report what the sandbox has seen (GET), or change its faults and answers (POST).

        The body of a POST has any of "reset": true, "clear_faults": true, "faults": "503 on=start, failed" and
        "answers": [scripted answers]; they take effect in this order. Both methods answer with the record.
        """
        try:
            self._check_credential(request)
            if request.method == "POST":
                self._change(await _read(request))
        except _RefusedError as exc:
            return exc.response
        return JSONResponse(self._report())

    def _change(self, body: bytes) -> None:
        known = ("reset", "clear_faults", "faults", "answers")
        try:
            wanted = json.loads(body)
            if not isinstance(wanted, dict) or any(name not in known for name in wanted):
                msg = f"The body must be a JSON object with some of {', '.join(known)}."
                raise _RefusedError(400, msg)
            faults = parse_faults(str(wanted.get("faults", "")))
            answers = [parse_answer(record) for record in wanted.get("answers", [])]
            if wanted.get("reset") is True:
                self.record.reset()
            if wanted.get("clear_faults") is True:
                self.record.clear_faults()
            for fault in faults:
                self.record.add_fault(fault)
            for answer in answers:
                self.record.add_answer(answer)
        except (ValueError, TypeError, RecursionError) as exc:
            raise _RefusedError(400, f"The body cannot be used: {exc}") from exc

    def _report(self) -> dict[str, Any]:
        now = self.clock()
        return {
            "requests": [
                {
                    "method": seen.method, "path": seen.path, "endpoint": seen.endpoint, "status": seen.status,
                    "fault": seen.fault.kind if seen.fault else None, "secondsAgo": round(now - seen.at, 3),
                }
                for seen in self.record.requests[-_MOST_REPORTED:]
            ],
            "runs": [
                {
                    "threadId": run.thread_id, "runId": run.run_id, "prompt": run.prompt,
                    "status": run.status(now), "response": run.turn.answer,
                }
                for run in self.record.runs[-_MOST_REPORTED:]
            ],
            "faults": [{name: value for name, value in asdict(fault).items() if value is not None} for fault in self.record.plan.faults],
        }  # fmt: skip

    def _check_credential(self, request: Request) -> None:
        status = self.credentials.status(request.headers)
        if status == HTTPStatus.FORBIDDEN:
            raise _RefusedError(status, "This credential has no ReadAccess.")
        if status == HTTPStatus.UNAUTHORIZED:
            raise _RefusedError(status, "The credential is missing or not known.", {"WWW-Authenticate": "Bearer"})


async def _read(request: Request) -> bytes:
    """Return the whole body; refuse it as soon as it is over the limit."""
    too_large = _RefusedError(413, "The body is over 1 MiB.", {"Connection": "close"})
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


def _start_body(body: bytes) -> tuple[str, str | None]:
    """Return the prompt and the thread id of a start request; other fields are ignored."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    prompt = content.get("prompt") if isinstance(content, dict) else None
    thread_id = content.get("threadId") if isinstance(content, dict) else None
    if not isinstance(prompt, str) or not (thread_id is None or isinstance(thread_id, str)):
        raise _RefusedError(400, "The body must be JSON with a prompt, and a threadId that is text or null.")
    if not prompt.strip():
        raise _RefusedError(400, "The prompt is empty.")
    return prompt, thread_id


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error as problem details. The vendor documents no form of errors."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def _instead(fault: Fault) -> Response | None:
    """Return the answer of a fault by which the request has no effect; None for other faults."""
    if fault.status is not None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else None
        return _problem(fault.status, "A fault of the sandbox, as ordered.", headers)
    match fault.kind:
        case "redirect":
            return RedirectResponse("https://elsewhere.invalid/login", 302)
        case "html":
            return HTMLResponse(_PAGE.format("Please sign in"))
        case "html-error":
            return HTMLResponse(_PAGE.format("502 Bad Gateway"), 502)
        case _:
            return None


def _damaged(fault: Fault, response: Response) -> Response:
    """Return the answer to a request that took effect, as its fault leaves it."""
    match fault.kind:
        case "empty":
            return Response(b"", media_type="application/json")
        case "malformed":
            return Response(b'{"threadId": "thread_', media_type="application/json")
        case "missing-field":
            return Response(b"{}", media_type="application/json")
        case _:
            return response
