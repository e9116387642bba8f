"""One client at a time: run it, look at what reached the model or the caller, and note a row of the table."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contit_mcp.server.host_waits import WaitPolicy
from tests.hosts.bench import COMMAND, FOLLOW_UP, QUESTION, Bench, Entry, answer_of, bare_environment
from tests.hosts.installing import PINS
from tests.hosts.model_service.conversation import Step, ask, follow_up, ids_in

TOOLS = {"contit_ask", "contit_start", "contit_status", "contit_response"}
PROGRAMS = Path(__file__).with_name("programs")
ITALIAN = "Chiedi a Contit con contit_ask"
TEMPLATE = "contit://runs/{thread_id}/{run_id}"
_SECONDS = 150


@dataclass(frozen=True)
class Row:
    """What was seen of one client over one transport."""

    client: str
    version: str
    transport: str
    protocol: str  # the revision its calls came in
    host: str  # the name and version that the server knows it by
    waits: float  # how long the server lets its calls wait, by that name, in seconds
    saw: str  # what its model sees of a result: its text, its structure, or both
    seconds: float


@dataclass
class Trial:
    """A client before an entry; its home is the test's, and so is where rows of the table go."""

    bench: Bench
    entry: Entry
    home: Path
    note: Callable[[Row], None]

    def run(self, command: Sequence[str | Path], *path: Path, stdin: str = "", **environment: str) -> str:
        """Run a program in a bare environment; its stdout. It must end well, and in time."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.home,
            env=bare_environment(self.home, *path, **environment),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
        return done.stdout

    def program(self, name: str, interpreter: Path, **more: object) -> str:
        """Run one of our programs in a client's environment, telling it where to ask what; its stdout."""
        given = {"question": QUESTION, "follow_up": FOLLOW_UP, "model_url": self.bench.model_url, **more}
        for_adk = {"GOOGLE_GEMINI_BASE_URL": self.bench.model_url, "GOOGLE_API_KEY": "made-up"}
        return self.run([interpreter, PROGRAMS / name, json.dumps(self.entry.plain() | given)], **for_adk)

    def converse(self, client: str, start: Callable[[], object], *, version: str, **more: Any) -> Row:
        """Let a host's model ask and follow up; `more` are arguments that it adds because the host asks for them.

        Seen at the model: our four tools, both answers whole, and ids that lead on.
        """
        model = self.bench.model
        model.play(ask(QUESTION, **more), follow_up(FOLLOW_UP, **more))

        def seen() -> Sequence[str]:
            start()
            assert model.our_tools == TOOLS, model.offered
            assert len(model.seen) == 2, model.seen
            return model.seen

        return self.follow(client, seen, version=version)

    def install(self, slug: str) -> None:
        """Let `contit-mcp install` write the entry. Over stdio its command becomes the one that keeps the log."""
        entry = self.entry
        way = [] if entry.command else ["--http", entry.url, "--token" if entry.token else "--no-token"]
        said = self.run([COMMAND, "install", slug, *way], **entry.environment)
        if entry.command:
            file = Path(re.findall(r"contit-assistant is now in (.*) \(", said)[0])
            file.write_text(
                file.read_text(encoding="utf-8").replace(str(COMMAND), str(entry.command)), encoding="utf-8"
            )

    @property
    def token_variable(self) -> dict[str, str]:
        """What such an entry needs to be set."""
        return {"CONTIT_ASSISTANT_TOKEN": self.entry.token} if self.entry.token else {}

    def follow(self, client: str, start: Callable[[], Sequence[str]], *, version: str) -> Row:
        """Run what asks and follows up, and returns both results as somebody reads them."""
        seen: list[str] = []
        seconds, call = self._timed(lambda: seen.extend(start()))
        self._assert_answers(seen)
        return self._row(client, version, call, _what_was_seen(seen[0]), seconds)

    def call(self, client: str, start: Callable[[], str], *, version: str) -> Row:
        """Let a program without a model list, ask and follow up, and print what it got as JSON: see `programs`.

        Text and structure must each hold the whole answers and the ids.
        """
        outcomes: list[str] = []
        seconds, call = self._timed(lambda: outcomes.append(start()))
        found: dict[str, Any] = json.loads(outcomes[0])
        assert set(found["tools"]) == TOOLS
        assert [result["isError"] for result in found["results"]] == [False, False], found
        self._assert_answers([json.dumps(result["content"], ensure_ascii=False) for result in found["results"]])
        self._assert_answers([json.dumps(result["structured"], ensure_ascii=False) for result in found["results"]])
        return self._row(client, version, call, "both", seconds)

    def wait_twice(self, start: Callable[[], object], *steps: Step) -> Sequence[str]:
        """Let a host's model ask what takes longer than its call; what it was shown, the answer at last.

        Whatever it does then, nothing is asked twice: there is one run.
        """
        runs = len(self.bench.contit.runs)
        self.bench.model.play(*steps)
        start()
        seen = self.bench.model.seen
        assert len(seen) == len(steps), seen
        (run,) = self.bench.contit.runs[runs:]
        assert holds(seen[-1], answer_of(run)), seen[-1]
        return seen

    def _row(self, client: str, version: str, call: Mapping[str, Any], saw: str, seconds: float) -> Row:
        host = f"{call['host']} {call['host_version'] or ''}".strip()
        waits = WaitPolicy().seconds(None, host=call["host"])
        row = Row(client, version, self.entry.transport, str(call["protocol"]), host, waits, saw, round(seconds, 1))
        self.note(row)
        return row

    def _timed(self, start: Callable[[], object]) -> tuple[float, dict[str, Any]]:
        """Run it; how long that took, and the server's line of the last call."""
        known, runs, began = len(self.entry.calls()), len(self.bench.contit.runs), time.monotonic()
        start()
        seconds = time.monotonic() - began
        calls = [call for call in self.entry.calls()[known:] if not call["tool"].startswith("resources/")]
        assert {call["outcome"] for call in calls} <= {"completed", "task", "working"}, calls
        answered = [call["run_id"] for call in calls if call["outcome"] == "completed"]  # by a task or the ask itself
        assert answered == [run.run_id for run in self.bench.contit.runs[runs:]], calls
        assert len(answered) == 2, calls
        return seconds, calls[-1]

    def _assert_answers(self, seen: Sequence[str]) -> None:
        first, second = self.bench.contit.runs[-2:]
        assert first.thread_id == second.thread_id, "the follow-up was no follow-up"
        for run, text in zip((first, second), seen, strict=True):
            assert holds(text, answer_of(run)), text
            ids = ids_in(text)
            if self.entry.token:
                assert all(ids[name].startswith("h1_") for name in ("thread_id", "run_id")), ids
            else:
                assert ids == {"thread_id": run.thread_id, "run_id": run.run_id}


def holds(seen: str, text: str) -> bool:
    """Whether a text is in what was seen, whole, plain or written as JSON or Python writes it, once or twice."""
    once = [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
    twice = [json.dumps(spelling, ensure_ascii=False)[1:-1] for spelling in once]
    return any(spelling in seen for spelling in (*once, *twice))


def _what_was_seen(text: str) -> str:
    in_text, in_structure = re.search(r"thread_id=\W{1,3}\w", text), "elapsed_seconds" in text
    return "both" if in_text and in_structure else "text" if in_text else "structure"


def npm_version(package: str) -> str:
    """As package.json pins it."""
    return str(json.loads((PINS / "package.json").read_text(encoding="utf-8"))["dependencies"][package])


def python_version(environment: str, package: str) -> str:
    """As the environment pins it."""
    text = (PINS / "environments" / f"{environment}.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==([^\s;]+)", text, re.MULTILINE)
    assert found, package
    return found[1]
