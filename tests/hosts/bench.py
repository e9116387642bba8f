"""What every client is tried against: the real `contit-mcp` over three ways, a sandbox behind it, a stand-in model."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.sandbox.record import Run, SandboxRecord
from tests.children import SEAL_KEY, Served, in_thread
from tests.hosts.model_service.app import create_model_service
from tests.hosts.model_service.conversation import Model

TRANSPORTS = ("stdio", "http", "http+token")
TOKEN = "token-of-the-tests-for-hosts"
COMMAND = Path(sys.executable).with_name("contit-mcp")
QUESTION = "List all published articles from March 2026"
FOLLOW_UP = "Show me the second one"
QUICK_SECONDS = 0.2
SLOW_SECONDS = 8.0
"""A run that outlasts every wait of the tests about waiting."""

LONG = "\n".join(
    f'{number:3}. **Caffè “Città” №{number}** — naïve \\ "quoted" & <tagged> it\'s 日本語 {chr(0x1F600 + number)}\t✓'
    for number in range(80)
)
"""An answer of several kB with what hosts escape, cut or drop."""


@dataclass(frozen=True)
class Entry:
    """One way to the server: a command that keeps its log, or a served URL."""

    transport: str
    command: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    url: str = ""
    token: str | None = None
    server: Served | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends with every request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def calls(self) -> list[dict[str, Any]]:
        """The server's log lines of finished calls, oldest first."""
        if self.server is not None:
            return self.server.named("call.finished")
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log and self.log.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == "call.finished"]

    def plain(self) -> dict[str, Any]:
        """For a program of ours in another environment."""
        command = str(self.command) if self.command else None
        return {
            "command": command,
            "args": ["stdio"],
            "env": self.environment,
            "url": self.url,
            "headers": self.headers,
        }


@dataclass
class Bench:
    """All that stands still while one client after the other is tried."""

    contit_url: str
    contit: SandboxRecord
    model: Model
    model_url: str
    http: Served
    http_with_token: Served

    def entry(self, transport: str, folder: Path) -> Entry:
        """The entry for a way to the server; over stdio its log and state are in the folder."""
        if transport == "http":
            return Entry(transport, url=self.http.url, server=self.http)
        if transport == "http+token":
            return Entry(transport, url=self.http_with_token.url, token=TOKEN, server=self.http_with_token)
        command, log = folder / "bin" / "contit-mcp", folder / "server.log"
        command.parent.mkdir(parents=True, exist_ok=True)
        # The command itself, but for its stderr, which hosts keep to themselves.
        script = f'#!/bin/sh\nexec {shlex.quote(str(COMMAND))} "$@" 2>>{shlex.quote(str(log))}\n'
        command.write_text(script, encoding="utf-8")
        command.chmod(0o755)
        environment = {
            "CONTIT_BASE_URL": self.contit_url,
            "CONTIT_API_KEY": "sandbox-key",
            "CONTIT_MCP_STATE_DIR": str(folder / "state"),
        }
        return Entry(transport, command, environment, log=log)


class LongAnswers:
    """Before the sandbox: what was asked as a follow-up is answered at length, since the sandbox's answers are short."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._record: SandboxRecord = sandbox.state.sandbox

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = str(scope["path"])
        if path.endswith("/response") and answer_of(self._last_run(path.split("/")[-2])) == LONG:
            await JSONResponse({"response": LONG})(scope, receive, send)
        else:
            await self._sandbox(scope, receive, send)

    def _last_run(self, thread_id: str) -> Run:
        return [run for run in self._record.runs if run.thread_id == thread_id][-1]


def answer_of(run: Run) -> str:
    """What this run's answer must be, wherever it arrives."""
    return LONG if run.prompt == FOLLOW_UP else run.turn.answer


@contextmanager
def set_up(run_seconds: float) -> Iterator[Bench]:
    """A bench, taken down at the end."""
    sandbox, model = create_sandbox(SandboxOptions(run_seconds=run_seconds)), Model()
    with ExitStack() as stack:
        contit_url = stack.enter_context(in_thread(LongAnswers(sandbox)))
        model_url = stack.enter_context(in_thread(create_model_service(model)))
        upstream = {"CONTIT_BASE_URL": contit_url, "CONTIT_API_KEY": "sandbox-key"}
        tokens = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": f"host:{TOKEN}", "CONTIT_MCP_SEAL_KEY": SEAL_KEY}
        http = stack.enter_context(Served(upstream))
        http_with_token = stack.enter_context(Served(upstream | tokens))
        yield Bench(contit_url, sandbox.state.sandbox, model, model_url, http, http_with_token)


def bare_environment(home: Path, *first_on_path: Path, **more: str) -> dict[str, str]:
    """What a program gets that knows nothing of this machine's user: a home of its own and hardly anything else."""
    path = os.pathsep.join([*map(str, first_on_path), "/usr/local/bin", "/usr/bin", "/bin"])
    home.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1", **more}
