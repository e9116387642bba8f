"""One client at a time: run it, and look at what reached the model or the caller."""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contit_mcp.server.host_waits import WaitPolicy
from tests.hosts.bench import COMMAND, FOLLOW_UP, QUESTION, Bench, Entry, bare_environment
from tests.hosts.model_service.conversation import Step, ask, follow_up, ids_in

TOOLS = {"contit_ask", "contit_start", "contit_status", "contit_response"}
PROGRAMS = Path(__file__).with_name("programs")
ITALIAN = "Chiedi a Contit con contit_ask"
TEMPLATE = "contit://runs/{thread_id}/{run_id}"
_SECONDS = 150

Seen = tuple[str, float]
"""What a model sees of a result: its "text", its "structure" or "both"; and the wait of its host's calls in seconds."""


@dataclass
class Trial:
    """A client before an entry; its home is the test's."""

    bench: Bench
    entry: Entry
    home: Path

    @classmethod
    def over(cls, transport: str, bench: Bench, folder: Path) -> Self:
        return cls(bench, bench.entry(transport, folder / "server"), folder / "home")

    def run(self, command: Sequence[str | Path], *path: Path, **environment: str) -> str:
        """Run a program in a bare environment; its stdout. It must end well, and in time."""
        done = subprocess.run(
            [str(part) for part in command], cwd=self.home, env=bare_environment(self.home, *path, **environment),
            input="", capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
        return done.stdout

    def program(self, name: str, interpreter: Path, **more: object) -> str:
        """Run one of our programs in a client's environment, telling it where to ask what; its stdout."""
        given = {"question": QUESTION, "follow_up": FOLLOW_UP, "model_url": self.bench.model_url, **more}
        for_adk = {"GOOGLE_GEMINI_BASE_URL": self.bench.model_url, "GOOGLE_API_KEY": "made-up"}
        return self.run([interpreter, PROGRAMS / name, json.dumps(self.entry.plain() | given)], **for_adk)

    def write(self, name: str, content: str | dict[str, Any]) -> Path:
        """Write a file below its home, as JSON where it is not text."""
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
        """What such an entry needs to be set."""
        return {"CONTIT_ASSISTANT_TOKEN": self.entry.token} if self.entry.token else {}

    def converse(self, start: Callable[[], object], **more: Any) -> Seen:
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

        return self.follow(seen)

    def follow(self, start: Callable[[], Sequence[str]]) -> Seen:
        """Run what asks and follows up, and returns both results as its reader gets them: whole, with ids."""
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
        return saw, WaitPolicy().seconds(None, host=calls[-1]["host"])

    def call(self, start: Callable[[], str]) -> None:
        """Let a program without a model list, ask and follow up, and print what it got as JSON: see `programs`.

        Text and structure must each hold the whole answers and the ids.
        """

        def seen() -> Sequence[str]:
            found: dict[str, Any] = json.loads(start())
            assert set(found["tools"]) == TOOLS
            assert [result["isError"] for result in found["results"]] == [False, False], found
            self._assert_answers([json.dumps(result["content"], ensure_ascii=False) for result in found["results"]])
            return [json.dumps(result["structured"], ensure_ascii=False) for result in found["results"]]

        self.follow(seen)

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
    """Whether a text is in what was seen, whole, plain or written as JSON or Python writes it, once or twice."""
    once = [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
    twice = [json.dumps(spelling, ensure_ascii=False)[1:-1] for spelling in once]
    return any(spelling in seen for spelling in (*once, *twice))
