"""The sandbox as one ASGI application: the AI assistant's three endpoints, the token and the control endpoint."""

import datetime as dt
import math
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import cached_property, lru_cache, partial
from typing import Final
from urllib.parse import parse_qsl

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import SAMPLE, load_workspace
from contit_mcp.sandbox.options import (
    DEFAULTS,
    Answers,
    Endpoint,
    Fault,
    SandboxOptions,
    first_mistake,
    load_answers,
    parse_fault,
)
from contit_mcp.sandbox.record import Run, SandboxRecord, SeenRequest

MAX_BODY_BYTES: Final = 1024 * 1024
SAMPLE_TODAY: Final = dt.date(2026, 3, 20)
"""The date of "today" in the sample content, so that "last week" is always the same week."""

_CONTROL: Final = "/sandbox"
_FORBIDDEN_KEY: Final = "sandbox-forbidden"
_CLIENT: Final = ("sandbox-client", "sandbox-secret")
_TOKEN_SECONDS: Final = 3600
_TOKENS_KEPT: Final = 1_000
_MOST_REPORTED: Final = 1_000
_PAGES: Final = {"html": (200, "Please sign in"), "html-error": (502, "502 Bad Gateway")}
Handler = Callable[[Request], Awaitable[Response]]
_DAMAGED: Final = {"empty": b"", "malformed": b'{"threadId": "thread_', "missing-field": b"{}"}


class ConnectionDropped(ConnectionError):  # noqa: N818 - named after the event, as ConnectionResetError is
    """A fault ended the response before its body. A server that gets this exception closes the connection.

    ASGI has no message for that. uvicorn logs the exception; in memory (httpx.ASGITransport) it reaches the caller.
    """


class _Dropped(Response):
    """Begins a response and raises ConnectionDropped."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as Starlette calls it
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        raise ConnectionDropped("the sandbox dropped this connection, as a fault demands")


def create_sandbox(options: SandboxOptions = DEFAULTS, *, clock: Callable[[], float] = time.monotonic) -> Starlette:
    """Return a local Contit that keeps time by `clock`; `app.state.sandbox` is its record. Raises DataError."""
    sandbox = _Sandbox(options, clock)
    if options.data is not None:
        _ = sandbox.assistant  # so that unreadable content is an error now
    thread = "/ai-assistant/thread"
    routes = [
        Route(thread, partial(sandbox.serve, "start", sandbox.start), methods=["POST"]),
        Route(thread + "/{thread_id}/run/{run_id}/status", partial(sandbox.serve, "status", sandbox.status)),
        Route(thread + "/{thread_id}/response", partial(sandbox.serve, "response", sandbox.response)),
        Route("/connect/token", partial(sandbox.serve, "token", sandbox.token), methods=["POST"]),
        Route(_CONTROL, sandbox.control, methods=["GET", "POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: sandbox.refused})
    app.state.sandbox = sandbox.record
    return app


class _Start(BaseModel):
    """The body of a start request; other fields are ignored."""

    prompt: str = Field(pattern=r"\S")
    threadId: str | None = None  # noqa: N815 - the vendor's name


class _Change(BaseModel):
    """The body of a request to the control endpoint, in the order in which it takes effect."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reset: bool = False
    clear_faults: bool = False
    faults: list[str] = []
    answers: Answers = []


@lru_cache(maxsize=2)  # reading it takes longer than most answers, and a program's tests make many sandboxes
def _sample_assistant(today: dt.date) -> Assistant:
    return Assistant(load_workspace(SAMPLE), today)


class _Sandbox:
    def __init__(self, options: SandboxOptions, clock: Callable[[], float]) -> None:
        self.options, self.clock = options, clock
        self.numbers = secrets.SystemRandom() if options.seed is None else random.Random(options.seed)
        self.record = SandboxRecord(options.faults, load_answers(options.answers) if options.answers else ())
        self.token_ends: dict[str, float] = {}

    def new_id(self, kind: str) -> str:
        return f"{kind}{self.numbers.getrandbits(96):024x}"

    @cached_property
    def assistant(self) -> Assistant:
        """The assistant; the content is read at the first prompt."""
        if self.options.data is None:
            return _sample_assistant(self.options.today or SAMPLE_TODAY)
        today = self.options.today or dt.datetime.now().astimezone().date()
        return Assistant(load_workspace(self.options.data), today)

    async def serve(self, endpoint: Endpoint, handler: Handler, request: Request) -> Response:
        """Respond to one request as its fault demands, and record it. A scripted answer may set the fault, too."""
        at = self.clock()
        request.state.fault = self.record.next_fault(endpoint)
        try:
            if not (response := _instead(request.state.fault)):
                self._check_credential(request, endpoint)
                response = await handler(request)
        except HTTPException as exc:
            response = _refusal(exc)
        if fault := request.state.fault:
            if fault.kind == "delay":
                await anyio.sleep(fault.seconds or 0)
            if fault.kind in _DAMAGED:
                response = Response(_DAMAGED[fault.kind], media_type="application/json")
            elif fault.kind == "drop-after":
                response = _Dropped()
        self._note(request, endpoint, None if isinstance(response, _Dropped) else response.status_code, at)
        return response

    def _note(self, request: Request, endpoint: str, status: int | None, at: float) -> None:
        path, fault = request.scope["raw_path"].decode("ascii", "replace"), getattr(request.state, "fault", None)
        self.record.note(SeenRequest(request.method, path, endpoint, status, at, fault and fault.kind))

    async def refused(self, request: Request, exc: Exception) -> Response:
        """Answer a path or method that the sandbox does not know, and a control request that it refuses."""
        assert isinstance(exc, HTTPException)  # noqa: S101 - it is registered for this class
        if request.url.path != _CONTROL:
            self._note(request, "other", exc.status_code, self.clock())
        return _refusal(exc)

    async def start(self, request: Request) -> Response:
        try:
            body = _Start.model_validate_json(await _read(request))
        except ValidationError as exc:
            raise HTTPException(400, "The body must be JSON with a prompt, and a threadId or null.") from exc
        thread_id = body.threadId
        scripted = self.record.next_answer(body.prompt)
        if scripted and scripted.fault and not request.state.fault:
            request.state.fault = parse_fault(scripted.fault)
        fault: Fault | None = request.state.fault
        if instead := _instead(fault):
            return instead
        if thread_id is not None and thread_id not in self.record.threads:
            raise HTTPException(404, "The thread does not exist.")
        thread_id, now = thread_id or self.new_id("thread_"), self.clock()
        before = self.record.threads.get(thread_id, [])
        if any(run.status(now) == "in_progress" for run in before):
            raise HTTPException(409, "The thread already has an active run.")
        seconds = self.options.run_seconds if scripted is None or scripted.seconds is None else scripted.seconds
        kind = fault.kind if fault else ""
        if fault and kind in ("slow", "endless"):
            seconds += fault.seconds or math.inf
        text = scripted.text_for(body.prompt) if scripted else None
        last_turn = next((run.turn for run in reversed(before) if not run.fails), None)
        turn = self.assistant.reply(body.prompt, last_turn) if text is None else Turn(text)
        run = Run(thread_id, self.new_id("run_"), body.prompt, turn, now + seconds, fails=kind == "failed")
        self.record.start(run)
        return JSONResponse({"threadId": run.thread_id, "runId": run.run_id})

    async def status(self, request: Request) -> Response:
        ids, fault = request.path_params, request.state.fault
        for run in self.record.threads.get(ids["thread_id"], ()):
            if run.run_id == ids["run_id"]:
                return JSONResponse({"status": (fault and fault.status_word) or run.status(self.clock())})
        raise HTTPException(404, "The thread or run does not exist.")

    async def response(self, request: Request) -> Response:
        for run in reversed(self.record.threads.get(request.path_params["thread_id"], [])):
            if run.status(self.clock()) == "completed":
                return JSONResponse({"response": run.turn.answer})
        raise HTTPException(404, "The thread does not exist or has no completed run.")

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await _read(request)).decode("utf-8", "replace")))
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != _CLIENT:
            return JSONResponse({"error": "invalid_client"}, 401)
        if len(self.token_ends) >= _TOKENS_KEPT:
            del self.token_ends[next(iter(self.token_ends))]
        token = self.new_id("sandbox-token-")
        self.token_ends[token] = self.clock() + _TOKEN_SECONDS
        body = {"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def control(self, request: Request) -> Response:
        """Report what the sandbox has seen (GET), or change its faults and answers first (POST), for tests."""
        self._check_credential(request, "control")
        if request.method == "POST":
            try:
                change = _Change.model_validate_json(await _read(request))
                faults = [parse_fault(fault) for fault in change.faults]
                if change.reset:
                    self.record.reset()
                if change.clear_faults:
                    self.record.clear_faults()
                self.record.add(faults, change.answers)
            except ValueError as exc:
                mistake = first_mistake(exc) if isinstance(exc, ValidationError) else exc
                raise HTTPException(400, f"The body cannot be used: {mistake}") from exc
        now = self.clock()
        requests = [asdict(one) for one in self.record.requests[-_MOST_REPORTED:]]
        for one in requests:
            one["secondsAgo"] = round(now - one.pop("at"), 3)
        runs = [
            {"threadId": one.thread_id, "runId": one.run_id, "prompt": one.prompt}
            | {"status": one.status(now), "response": one.turn.answer}
            for one in self.record.runs[-_MOST_REPORTED:]
        ]
        pending = [asdict(one) for one in self.record.faults]
        return JSONResponse({"requests": requests, "runs": runs, "faults": pending})

    def _check_credential(self, request: Request, endpoint: str) -> None:
        """Raise 401 or 403 unless X-Api-Key or, where that is absent, Authorization has a good credential."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key", bearer if scheme.lower() == "bearer" else "")
        issued = "x-api-key" not in request.headers and self.token_ends.get(key, 0.0) > self.clock()
        if key == _FORBIDDEN_KEY:
            raise HTTPException(403, "This credential has no ReadAccess.")
        if endpoint != "token" and not issued and key not in self.options.api_keys:
            raise HTTPException(401, "The credential is missing or not known.", {"WWW-Authenticate": "Bearer"})


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "The body is over 1 MiB.", {"Connection": "close"})
    return bytes(body)


def _refusal(error: HTTPException) -> JSONResponse:
    """Return an error as JSON. The vendor documents no form of errors."""
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def _instead(fault: Fault | None) -> Response | None:
    """Return the response of a fault that leaves the request without effect; None for other faults."""
    if fault is None:
        return None
    if fault.kind == "redirect":
        return RedirectResponse("https://elsewhere.invalid/login", 302)
    if fault.kind in _PAGES:
        status, title = _PAGES[fault.kind]
        return HTMLResponse(f"<!doctype html><html><head><title>{title}</title></head><body></body></html>", status)
    if fault.kind.isdecimal():
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
        return _refusal(HTTPException(int(fault.kind), "A fault of the sandbox, as requested.", headers))
    return _Dropped() if fault.kind == "drop-before" else None
