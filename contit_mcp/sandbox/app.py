"""The sandbox as one ASGI application: the AI assistant's three endpoints, the token and the control endpoint."""

import datetime as dt
import json
import math
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import anyio
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import load_workspace
from contit_mcp.sandbox.options import (
    DEFAULTS,
    Credentials,
    Endpoint,
    Fault,
    SandboxOptions,
    load_answers,
    parse_answers,
    parse_fault,
    parse_faults,
)
from contit_mcp.sandbox.record import Run, SandboxRecord, SeenRequest

MAX_BODY_BYTES: Final = 1024 * 1024
"""Longer request bodies are refused with 413; a prompt is a few kilobytes at most."""

SAMPLE_TODAY: Final = dt.date(2026, 3, 20)
"""The date of "today" in the sample content, so that "last week" is always the same week."""

_PAGE: Final = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_DAMAGED: Final = {"empty": b"", "malformed": b'{"threadId": "thread_', "missing-field": b"{}"}
_MOST_REPORTED: Final = 1_000

Handler = Callable[[Request, Fault | None], Awaitable[Response]]


class ConnectionDropped(ConnectionError):  # noqa: N818 - named after the event, as ConnectionResetError is
    """A fault ended the answer before its body. A server that gets this exception closes the connection.

    ASGI has no message for that. uvicorn logs the exception; in memory (httpx.ASGITransport) it reaches the caller.
    """


class _Dropped(Response):
    """Begins an answer and raises ConnectionDropped."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as Starlette calls it
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        raise ConnectionDropped("the sandbox dropped this connection, as a fault ordered")


def create_sandbox(
    options: SandboxOptions = DEFAULTS,
    *,
    clock: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Return a local Contit; its `SandboxRecord` is at `app.state.sandbox`. Raises DataError or AnswersError.

    Runs and tokens end by `clock`. `new_id` gives the part of an id after "thread_" or "run_". `sleep` serves the
    faults that delay an answer.
    """
    numbers = secrets.SystemRandom() if options.seed is None else random.Random(options.seed)
    sandbox = _Sandbox(options, clock, new_id or (lambda: f"{numbers.getrandbits(96):024x}"), sleep)
    if options.data is not None:
        _ = sandbox.assistant  # so that unreadable content is an error now
    thread = "/ai-assistant/thread"
    routes = [
        Route(thread, partial(sandbox.serve, "start", sandbox.start), methods=["POST"]),
        Route(thread + "/{thread_id}/run/{run_id}/status", partial(sandbox.serve, "status", sandbox.status)),
        Route(thread + "/{thread_id}/response", partial(sandbox.serve, "response", sandbox.response)),
        Route("/connect/token", partial(sandbox.serve, "token", sandbox.token), methods=["POST"]),
        Route("/sandbox", sandbox.control, methods=["GET", "POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: sandbox.elsewhere})
    app.state.sandbox = sandbox.record
    return app


class _Start(BaseModel):
    """The body of a start request; other fields are ignored."""

    prompt: str = Field(pattern=r"\S")
    threadId: str | None = None  # noqa: N815 - the vendor's name


@dataclass
class _Sandbox:
    options: SandboxOptions
    clock: Callable[[], float]
    new_id: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]]

    def __post_init__(self) -> None:
        options, answers = self.options, load_answers(self.options.answers) if self.options.answers else ()
        self.credentials = Credentials(options, self.clock, self.new_id)
        self.record = SandboxRecord(self.clock, options, answers)

    @cached_property
    def assistant(self) -> Assistant:
        """The assistant; the sample content is read at the first prompt."""
        if self.options.data is None:
            return Assistant(load_workspace(), self.options.today or SAMPLE_TODAY)
        return Assistant(load_workspace(self.options.data), self.options.today or dt.datetime.now().astimezone().date())

    async def serve(self, endpoint: Endpoint, handler: Handler, request: Request) -> Response:
        """Answer one request, or drop its connection, and record it."""
        at = self.clock()
        request.state.fault = fault = self.record.next_fault(endpoint)
        try:
            response = (_instead(fault) if fault else None) or await handler(request, fault)
        except HTTPException as exc:
            response = _problem(exc)
        fault = request.state.fault  # a scripted answer may have added one
        if fault and fault.seconds is not None and (fault.kind == "delay" or endpoint != "start"):
            await self.sleep(fault.seconds)
        if fault and fault.kind in _DAMAGED:
            response = Response(_DAMAGED[fault.kind], media_type="application/json")
        elif fault and fault.kind == "drop-after":
            response = _Dropped()
        self._note(request, endpoint, None if isinstance(response, _Dropped) else response.status_code, at)
        return response

    def _note(self, request: Request, endpoint: str, status: int | None, at: float) -> None:
        path = bytes(request.scope.get("raw_path") or request.url.path.encode()).decode("ascii", "replace")
        fault = getattr(request.state, "fault", None)
        self.record.note(SeenRequest(request.method, path, endpoint, status, at, fault))

    async def elsewhere(self, request: Request, exc: Exception) -> Response:
        """Answer a path or method that the sandbox does not know."""
        unknown = "The sandbox knows the AI assistant's three endpoints, /connect/token and /sandbox."
        error = HTTPException(getattr(exc, "status_code", 500), unknown)
        self._note(request, "other", error.status_code, self.clock())
        return _problem(error)

    async def start(self, request: Request, fault: Fault | None) -> Response:
        """POST /ai-assistant/thread: start a run, in a new conversation or in a known one."""
        self._check_credential(request)
        try:
            body = _Start.model_validate_json(await _read(request))
        except ValueError as exc:
            raise HTTPException(400, "The body must be JSON with a prompt, and a threadId or null.") from exc
        prompt, thread_id = body.prompt, body.threadId
        scripted, text = self.record.next_answer(prompt) or (None, None)
        seconds = self.options.run_seconds
        if scripted:
            request.state.fault = fault = fault or (parse_fault(scripted.fault) if scripted.fault else None)
            seconds = seconds if scripted.seconds is None else scripted.seconds
            if fault and (instead := _instead(fault)):
                return instead
        if thread_id is not None and thread_id not in self.record.threads:
            raise HTTPException(404, "The thread does not exist.")
        thread_id = thread_id or f"thread_{self.new_id()}"
        if self.options.reject_busy and self.record.with_status(thread_id, "in_progress"):
            raise HTTPException(409, "The thread already has an active run.")
        kind, now = fault.kind if fault else "", self.clock()
        if fault and kind in ("slow", "endless"):
            seconds += fault.seconds or math.inf
        turn = Turn(text) if text is not None else self.assistant.reply(prompt, self.record.last_turn(thread_id))
        run = Run(thread_id, f"run_{self.new_id()}", prompt, turn, now, now + seconds, fails=kind == "failed")
        self.record.start(run)
        return JSONResponse({"threadId": run.thread_id, "runId": run.run_id})

    async def status(self, request: Request, fault: Fault | None) -> Response:
        """GET /ai-assistant/thread/{threadId}/run/{runId}/status: the state of a run."""
        self._check_credential(request)
        ids = request.path_params
        runs = [run for run in self.record.threads.get(ids["thread_id"], ()) if run.run_id == ids["run_id"]]
        if not runs:
            raise HTTPException(404, "The thread or run does not exist.")
        word = fault.status_word if fault and fault.status_word else runs[0].status(self.clock())
        return JSONResponse({"status": word})

    async def response(self, request: Request, _fault: Fault | None) -> Response:
        """GET /ai-assistant/thread/{threadId}/response: the answer of the run that completed last."""
        self._check_credential(request)
        completed = self.record.with_status(request.path_params["thread_id"], "completed")
        if not completed:
            raise HTTPException(404, "The thread does not exist or has no completed run.")
        return JSONResponse({"response": max(completed, key=lambda run: run.ends).turn.answer})

    async def token(self, request: Request, _fault: Fault | None) -> Response:
        """POST /connect/token: an access token for the OAuth2 client, by client credentials in a form."""
        form = parse_qs((await _read(request)).decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = self.credentials.issue("".join(form.get("client_id", ())), "".join(form.get("client_secret", ())))
        if token is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": int(self.options.token_seconds)}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def control(self, request: Request) -> Response:
        """Report what the sandbox has seen (GET), or change its faults and answers first (POST), for tests."""
        try:
            self._check_credential(request)
            if request.method == "POST":
                self._change(json.loads(await _read(request)))
        except HTTPException as exc:
            return _problem(exc)
        except (ValueError, TypeError, RecursionError) as exc:
            return _problem(HTTPException(400, f"The body cannot be used: {exc}"))
        return JSONResponse(self._report())

    def _change(self, wanted: Any) -> None:
        """Do what a body orders, in this order: reset, clear_faults, faults, answers."""
        if not isinstance(wanted, dict) or not set(wanted) <= {"reset", "clear_faults", "faults", "answers"}:
            raise ValueError("it must be a JSON object with reset, clear_faults, faults or answers")
        faults, answers = parse_faults(str(wanted.get("faults", ""))), parse_answers(wanted.get("answers", []))
        if wanted.get("reset") is True:
            self.record.reset()
        if wanted.get("clear_faults") is True:
            self.record.clear_faults()
        self.record.add(faults, answers)

    def _report(self) -> dict[str, Any]:
        now = self.clock()
        requests = [asdict(one) for one in self.record.requests[-_MOST_REPORTED:]]
        for one in requests:
            one["secondsAgo"] = round(now - one.pop("at"), 3)
            one["fault"] = one["fault"] and one["fault"]["kind"]
        runs = [
            {"threadId": one.thread_id, "runId": one.run_id, "prompt": one.prompt}
            | {"status": one.status(now), "response": one.turn.answer}
            for one in self.record.runs[-_MOST_REPORTED:]
        ]
        return {"requests": requests, "runs": runs, "faults": [asdict(one) for one in self.record.faults]}

    def _check_credential(self, request: Request) -> None:
        status = self.credentials.status(request.headers)
        if status == HTTPStatus.FORBIDDEN:
            raise HTTPException(status, "This credential has no ReadAccess.")
        if status == HTTPStatus.UNAUTHORIZED:
            raise HTTPException(status, "The credential is missing or not known.", {"WWW-Authenticate": "Bearer"})


async def _read(request: Request) -> bytes:
    """Return the whole body; refuse it as soon as it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "The body is over 1 MiB.", {"Connection": "close"})
    return bytes(body)


def _problem(error: HTTPException) -> JSONResponse:
    """Return an error as problem details. The vendor documents no form of errors."""
    title = HTTPStatus(error.status_code).phrase if error.status_code in [*HTTPStatus] else "Error"
    body = {"type": "about:blank", "title": title, "status": error.status_code, "detail": error.detail}
    return JSONResponse(body, error.status_code, headers=error.headers, media_type="application/problem+json")


def _instead(fault: Fault) -> Response | None:
    """Return the answer of a fault by which the request has no effect; None for other faults."""
    if fault.status is not None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else None
        return _problem(HTTPException(fault.status, "A fault of the sandbox, as ordered.", headers))
    if fault.kind == "redirect":
        return RedirectResponse("https://elsewhere.invalid/login", 302)
    if fault.kind == "html":
        return HTMLResponse(_PAGE.format("Please sign in"))
    if fault.kind == "html-error":
        return HTMLResponse(_PAGE.format("502 Bad Gateway"), 502)
    return _Dropped() if fault.kind == "drop-before" else None
