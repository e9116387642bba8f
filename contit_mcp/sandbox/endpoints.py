"""The four endpoints when nothing goes wrong, and the faults that are part of a run or of its status."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from contit_mcp.sandbox.bodies import StartBody, read_body
from contit_mcp.sandbox.credentials import Access, Credentials
from contit_mcp.sandbox.errors import problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from contit_mcp.sandbox.assistant.conversation import Assistant
    from contit_mcp.sandbox.faults import Fault
    from contit_mcp.sandbox.options import SandboxOptions
    from contit_mcp.sandbox.threads import Threads


@dataclass(frozen=True)
class Endpoints:
    """The endpoints of one sandbox."""

    options: SandboxOptions
    credentials: Credentials
    threads: Threads
    assistant: Assistant

    async def start(self, request: Request, fault: Fault | None) -> Response:
        """POST /ai-assistant/thread: start a run, in a new conversation or in a known one."""
        if refusal := self._refusal(request):
            return refusal
        try:
            body = StartBody.model_validate_json(await read_body(request))
        except ValidationError:
            return problem(400, "The body must be JSON with a prompt, and a threadId that is text or null.")
        if not body.prompt.strip():
            return problem(400, "The prompt is empty.")
        thread = self.threads.new() if body.thread_id is None else self.threads.get(body.thread_id)
        if thread is None:
            return problem(404, "The thread does not exist.")
        if self.options.reject_busy and thread.active(self.threads.clock()):
            return problem(409, "The thread already has an active run.")
        kind = fault.kind if fault else ""
        seconds = self.options.run_seconds + (fault.seconds or 0.0 if fault and kind == "slow" else 0.0)
        run = self.threads.start(
            thread,
            body.prompt,
            self.assistant.reply(body.prompt, thread.last_turn()),
            seconds=math.inf if kind == "endless" else seconds,
            fails=kind == "failed",
        )
        return JSONResponse({"threadId": run.thread_id, "runId": run.run_id})

    async def status(self, request: Request, fault: Fault | None) -> Response:
        """GET /ai-assistant/thread/{threadId}/run/{runId}/status: where a run stands."""
        if refusal := self._refusal(request):
            return refusal
        run = self.threads.run(request.path_params["thread_id"], request.path_params["run_id"])
        if run is None:
            return problem(404, "The thread or run does not exist.")
        word = fault.status_word if fault and fault.status_word else run.status(self.threads.clock())
        return JSONResponse({"status": word})

    async def response(self, request: Request, _fault: Fault | None) -> Response:
        """GET /ai-assistant/thread/{threadId}/response: the answer of whichever run completed last."""
        if refusal := self._refusal(request):
            return refusal
        thread = self.threads.get(request.path_params["thread_id"])
        run = thread.latest_completed(self.threads.clock()) if thread else None
        if run is None:
            return problem(404, "The thread does not exist or has no completed run.")
        return JSONResponse({"response": run.turn.answer})

    async def token(self, request: Request, _fault: Fault | None) -> Response:
        """POST /connect/token: an access token for the OAuth2 client, by client credentials in a form."""
        form = parse_qs((await read_body(request)).decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = self.credentials.issue("".join(form.get("client_id", ())), "".join(form.get("client_secret", ())))
        if token is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        expires_in = int(self.options.token_seconds)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": expires_in},
            headers={"Cache-Control": "no-store"},
        )

    def _refusal(self, request: Request) -> Response | None:
        match self.credentials.access(request.headers):
            case Access.GRANTED:
                return None
            case Access.FORBIDDEN:
                return problem(403, "This credential has no ReadAccess.")
            case Access.UNKNOWN:
                return problem(401, "The credential is missing or not known.", {"WWW-Authenticate": "Bearer"})
