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

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions, ScriptedAnswer
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import TOKEN_MODE, TOKENS, Served, in_thread
from tests.hosts.model_service.app import create_model_service
from tests.hosts.model_service.conversation import Model

COMMAND = Path(sys.executable).with_name("contit-mcp")
QUESTION = "List all published articles from March 2026"
FOLLOW_UP = "Show me the second one"
LONG = "\n".join(
    f'{number:3}. **Caffè “Città” №{number}** — naïve \\ "quoted" & <tagged> it\'s 日本語 {chr(0x1F600 + number)}\t✓'
    for number in range(80)
)
"""The answer to the follow-up: several kB with what hosts escape, cut or drop."""


@dataclass(frozen=True)
class Entry:
    """One way to the server: a command that keeps its log, or a served URL."""

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
        """The server's log lines of finished calls, oldest first, without those about resources."""
        lines = self.server.lines[:] if self.server else []
        if self.log and self.log.exists():
            lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        calls = [line for line in lines if line["event"] == "call.finished"]
        return [call for call in calls if not call["tool"].startswith("resources/")]

    def plain(self) -> dict[str, Any]:
        """For a program of ours in another environment."""
        command = str(self.command) if self.command else None
        child = {"command": command, "args": ["stdio"], "env": self.environment}
        return {**child, "url": self.url, "headers": self.headers}


@dataclass
class Bench:
    """All that stays while one client after the other is tried."""

    contit_url: str
    contit: SandboxRecord
    model: Model
    model_url: str
    http: Served
    http_with_token: Served

    def entry(self, transport: str, folder: Path) -> Entry:
        """The entry for a way to the server; over stdio its log and state are in the folder."""
        if transport == "http":
            return Entry(url=self.http.url, server=self.http)
        if transport == "http+token":
            return Entry(url=self.http_with_token.url, token=TOKENS["anna"], server=self.http_with_token)
        command, log = folder / "contit-mcp", folder / "server.log"
        folder.mkdir()
        # The command itself, but for its stderr, which hosts keep to themselves.
        script = f'#!/bin/sh\nexec {shlex.quote(str(COMMAND))} "$@" 2>>{shlex.quote(str(log))}\n'
        command.write_text(script, encoding="utf-8")
        command.chmod(0o755)
        environment = {
            "CONTIT_BASE_URL": self.contit_url,
            "CONTIT_API_KEY": "sandbox-key",
            "CONTIT_MCP_STATE_DIR": str(folder / "state"),
        }
        return Entry(command, environment, log=log)


@contextmanager
def set_up(run_seconds: float) -> Iterator[Bench]:
    """A bench, taken down at the end."""
    sandbox, model = create_sandbox(SandboxOptions(run_seconds=run_seconds)), Model()
    contit: SandboxRecord = sandbox.state.sandbox
    contit.add(answers=[ScriptedAnswer(prompt=FOLLOW_UP, answer=LONG)])
    with ExitStack() as stack:
        contit_url = stack.enter_context(in_thread(sandbox))
        model_url = stack.enter_context(in_thread(create_model_service(model)))
        upstream = {"CONTIT_BASE_URL": contit_url, "CONTIT_API_KEY": "sandbox-key"}
        servers = [stack.enter_context(Served(upstream | mode)) for mode in ({}, TOKEN_MODE)]
        yield Bench(contit_url, contit, model, model_url, *servers)


def bare_environment(home: Path, *first_on_path: Path, **more: str) -> dict[str, str]:
    """What a program gets that knows nothing of this machine's user: a home of its own and hardly anything else."""
    path = os.pathsep.join([*map(str, first_on_path), "/usr/local/bin", "/usr/bin", "/bin"])
    home.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1", **more}
