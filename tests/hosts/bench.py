"""The bench on which each client is tried: the real `contit-mcp`, a sandbox behind it, a stand-in for the model."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from contit_mcp.sandbox.options import SandboxOptions, ScriptedAnswer
from contit_mcp.sandbox.record import SandboxRecord
from contit_mcp.server.host_waits import WaitPolicy
from tests.children import TOKEN_MODE, TOKENS, Served, contit, in_thread
from tests.cli.command_line import upstream
from tests.hosts.model_service.app import create_model_service
from tests.hosts.model_service.conversation import Model, Step, ask, follow_up, ids_in

COMMAND = Path(sys.executable).with_name("contit-mcp")
PROGRAMS = Path(__file__).with_name("programs")
TOOLS = {"contit_ask", "contit_start", "contit_status", "contit_response"}
QUESTION = "List all published articles from March 2026"
FOLLOW_UP = "Show me the second one"
LONG = "\n".join(
    f'{number:3}. **Caffè “Città” №{number}** — naïve \\ "quoted" & <tagged> it\'s 日本語 {chr(0x1F600 + number)}\t✓'
    for number in range(80)
)
"""The answer to the follow-up: several kB with what hosts escape, cut or drop."""


@dataclass(frozen=True)
class Entry:
    """How a client reaches the server: by a command whose log is kept, or by the URL of a running server."""

    command: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    url: str = ""
    token: str | None = None
    server: Served | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def calls(self) -> list[dict[str, Any]]:
        """Return the server's log lines of finished calls, oldest first, without those about resources."""
        lines = self.server.lines[:] if self.server else []
        if self.log and self.log.exists():
            lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        calls = [line for line in lines if line["event"] == "call.finished"]
        return [call for call in calls if not call["tool"].startswith("resources/")]

    def plain(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        child = {"command": self.command and str(self.command), "args": ["stdio"], "env": self.environment}
        return {**child, "url": self.url, "headers": self.headers}


@dataclass
class Bench:
    """The servers that stay while one client after the other is tried."""

    contit_url: str
    contit: SandboxRecord
    model: Model
    model_url: str
    servers: dict[str, Served]  # by transport

    def entry(self, transport: str, folder: Path) -> Entry:
        """Return the entry for a transport; over stdio, the server's log and state are in the folder."""
        if server := self.servers.get(transport):
            token = TOKENS["anna"] if transport == "http+token" else None
            return Entry(url=server.url, token=token, server=server)
        command, log = folder / "contit-mcp", folder / "server.log"
        folder.mkdir()
        # Only stderr is redirected, since hosts do not show it.
        script = f'#!/bin/sh\nexec {shlex.quote(str(COMMAND))} "$@" 2>>{shlex.quote(str(log))}\n'
        command.write_text(script, encoding="utf-8")
        command.chmod(0o755)
        return Entry(command, upstream(self.contit_url, CONTIT_MCP_STATE_DIR=str(folder / "state")), log=log)


@contextmanager
def set_up(run_seconds: float) -> Iterator[Bench]:
    model = Model()
    with ExitStack() as stack:
        it = stack.enter_context(contit(SandboxOptions(run_seconds=run_seconds)))
        it.record.add(answers=[ScriptedAnswer(prompt=FOLLOW_UP, answer=LONG)])
        model_url = stack.enter_context(in_thread(create_model_service(model)))
        modes = {"http": {}, "http+token": TOKEN_MODE}
        servers = {name: stack.enter_context(Served(upstream(it.url) | mode)) for name, mode in modes.items()}
        yield Bench(it.url, it.record, model, model_url, servers)


def bare_environment(home: Path, *first_on_path: Path, **more: str) -> dict[str, str]:
    """Return the few variables of a program that knows nothing of this machine's user, with a home of its own."""
    path = os.pathsep.join([*map(str, first_on_path), "/usr/local/bin", "/usr/bin", "/bin"])
    home.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1", **more}


def run(command: Sequence[str | Path], environment: dict[str, str]) -> str:
    """Run a program in its home folder, and return its stdout. It has to end well, and in time."""
    done = subprocess.run(
        [str(part) for part in command], cwd=environment["HOME"], env=environment,
        input="", capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout


# --- One client, and what reached its model or its caller


class Seen(NamedTuple):
    saw: str  # what the model sees of a result: "text", "structure" or "both"
    wait_seconds: float  # how long a call of this host waits


@dataclass
class Trial:
    """A client with an entry for the server, in a home folder of its own."""

    bench: Bench
    entry: Entry
    home: Path

    def run(self, command: Sequence[str | Path], *path: Path, **environment: str) -> str:
        """Run a program in a bare environment, and return its stdout."""
        return run(command, bare_environment(self.home, *path, **environment))

    def program(self, name: str, interpreter: Path, **more: object) -> str:
        """Run one of our programs in a client's environment, and return its stdout: see programs/README.md."""
        given = {"question": QUESTION, "follow_up": FOLLOW_UP, "model_url": self.bench.model_url, **more}
        for_adk = {"GOOGLE_GEMINI_BASE_URL": self.bench.model_url, "GOOGLE_API_KEY": "made-up"}
        return self.run([interpreter, PROGRAMS / name, json.dumps(self.entry.plain() | given)], **for_adk)

    def write(self, name: str, content: str | dict[str, Any]) -> Path:
        """Write a file below its home; what is not text is written as JSON."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return file

    def install(self, slug: str) -> None:
        """Let `contit-mcp install` write the entry. Over stdio its command becomes the one that keeps the log."""
        entry = self.entry
        way = [] if entry.command else ["--http", entry.url, "--token" if entry.token else "--no-token"]
        said = self.run([COMMAND, "install", slug, *way], **entry.environment)
        if entry.command:
            file = Path(re.findall(r"contit-assistant is now in (.*) \(", said)[0])
            self.write(str(file), file.read_text(encoding="utf-8").replace(str(COMMAND), str(entry.command)))

    @property
    def token_variable(self) -> dict[str, str]:
        """Return the variable that an entry with a token needs."""
        return {"CONTIT_ASSISTANT_TOKEN": self.entry.token} if self.entry.token else {}

    def check_model(self, start: Callable[[], object], **more: Any) -> Seen:
        """Let a host's model ask and follow up, with `more` arguments; check that it sees four tools and both answers."""
        model = self.bench.model
        model.play(ask(QUESTION, **more), follow_up(FOLLOW_UP, **more))

        def seen() -> Sequence[str]:
            start()
            assert model.our_tools == TOOLS, model.offered
            assert len(model.seen) == 2, model.seen
            return model.seen

        return self.check_two_answers(seen)

    def check_two_answers(self, start: Callable[[], Sequence[str]]) -> Seen:
        """Check that `start` asks twice, and returns both results as their reader gets them: whole, with ids."""
        known, runs = len(self.entry.calls()), len(self.bench.contit.runs)
        seen = start()
        calls = self.entry.calls()[known:]
        assert {call["outcome"] for call in calls} <= {"completed", "task", "working"}, calls
        answered = [call["run_id"] for call in calls if call["outcome"] == "completed"]  # by a task or the ask itself
        assert answered == [run.run_id for run in self.bench.contit.runs[runs:]], calls
        assert len(answered) == 2, calls
        self._assert_answers(seen)
        in_text, in_structure = re.search(r"thread_id=\W{1,3}\w", seen[0]), "elapsed_seconds" in seen[0]
        saw = "both" if in_text and in_structure else "text" if in_text else "structure"
        return Seen(saw, WaitPolicy().seconds(None, host=calls[-1]["host"]))

    def check_program(self, start: Callable[[], str]) -> None:
        """Check what a program without a model prints: text and structure each hold the whole answers and the ids."""

        def seen() -> Sequence[str]:
            found: dict[str, Any] = json.loads(start())
            assert set(found["tools"]) == TOOLS
            assert [result["isError"] for result in found["results"]] == [False, False], found
            self._assert_answers([json.dumps(result["content"], ensure_ascii=False) for result in found["results"]])
            return [json.dumps(result["structured"], ensure_ascii=False) for result in found["results"]]

        self.check_two_answers(seen)

    def check_late_answer(self, start: Callable[[], object], *steps: Step) -> Sequence[str]:
        """Let a host's model ask what takes longer than its call; return what it saw. Nothing may be asked twice."""
        runs = len(self.bench.contit.runs)
        self.bench.model.play(*steps)
        start()
        seen = self.bench.model.seen
        assert len(seen) == len(steps), seen
        (run,) = self.bench.contit.runs[runs:]
        assert holds(seen[-1], run.turn.answer), seen[-1]
        return seen

    def _assert_answers(self, seen: Sequence[str]) -> None:
        first, second = self.bench.contit.runs[-2:]
        assert first.thread_id == second.thread_id, "the follow-up was no follow-up"
        for run, text in zip((first, second), seen, strict=True):
            assert holds(text, run.turn.answer), text
            ids = ids_in(text)
            if self.entry.token:
                assert all(ids[name].startswith("h1_") for name in ("thread_id", "run_id")), ids
            else:
                assert ids == {"thread_id": run.thread_id, "run_id": run.run_id}


def holds(seen: str, text: str) -> bool:
    """Return whether the whole text is in what was seen: plain, or as JSON or Python writes it, once or twice."""
    once = [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
    twice = [json.dumps(spelling, ensure_ascii=False)[1:-1] for spelling in once]
    return any(spelling in seen for spelling in (*once, *twice))
