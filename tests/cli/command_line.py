"""`contit-mcp` as a person starts it: with pipes, on a terminal that is looked at, or inside the test's process."""

import io
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest
from anyio.abc import Process

from contit_mcp.cli.main import main
from tests.children import COMMAND, Piped, clean_environment, piped

STATE = Path("set by the fixture `state`")
"""The state folder of the processes that are started here."""

_LEFT_OUT = {
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "no_color", "ssl_cert_file", "columns",
    # By these the developer's own hosts would be found below another HOME too.
    "xdg_config_home", "appdata", "localappdata", "claude_config_dir", "codex_home", "copilot_home",
}  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """This environment without anything of Contit's and without proxies, with the test's state folder and `more`."""
    kept = {name: value for name, value in clean_environment().items() if name.lower() not in _LEFT_OUT}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # commands are printed as they are on PATH
    return kept | {"CONTIT_MCP_STATE_DIR": str(STATE), "TERM": "xterm-256color", "PATH": path} | more


def upstream(url: str, **more: str) -> dict[str, str]:
    return {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **more}


def command_in(folder: Path) -> Path:
    """Write a command `contit-mcp` for shells that have this folder on their PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "contit-mcp"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m contit_mcp "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return command


async def run(*arguments: str, **more: str) -> "CompletedProcess[str]":
    with anyio.fail_after(60):
        done = await anyio.run_process([*COMMAND, *arguments], input=b"", env=environment(**more), check=False)
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def started(*arguments: str, **more: str) -> AbstractAsyncContextManager[Piped]:
    return piped(Piped, [*COMMAND, *arguments], environment(**more))


# --- inside this process, which is quicker


_AN_ERROR = re.compile(r"(?:note: [^\n]+\n)*(?:Usage: [^\n]+\n)?error: [^\n]+\nhint: [^\n]+\n")


@dataclass
class Ended:
    code: int
    stdout: str
    stderr: str

    def is_calm(self) -> bool:
        """Whether there is no traceback, no bug, and at most one error with its hint."""
        said = self.stdout + self.stderr
        calm = "Traceback" not in said and "That is a bug" not in said and "Exception ignored" not in said
        return calm and ("error: " not in self.stderr or _AN_ERROR.search(self.stderr) is not None)


class RunHere:
    """Runs commands as the console script does, each in a clean environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, **more: str | None) -> Ended:
        """Run a command with `more` in the environment; None removes a variable."""
        return self.fed(b"", *arguments, **more)

    def fed(self, stdin: bytes, /, *arguments: str, **more: str | None) -> Ended:
        given = environment() | more
        with self._monkeypatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in given.items():
                if value is not None:
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["contit-mcp", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            self._capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)


# --- on a terminal


@dataclass
class Terminal:
    """A pseudo-terminal with a process on it."""

    process: Process
    leader: int
    written: str = ""
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def until(self, seen: Callable[[str], bool]) -> None:
        """Wait until what was written satisfies the test."""
        while not seen(self.written):
            self.changed = anyio.Event()
            await self.changed.wait()

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def screen(self) -> list[str]:
        """The lines as they are there now, without colours, and without blanks at their ends."""
        lines = [""]
        without_colours = re.sub(r"\x1b\[[?\d;]*[B-JL-Za-z]", "", self.written)
        for piece in re.findall(r"\x1b\[2K|\x1b\[1A|\n|[^\x1b\r\n]+", without_colours):
            if piece == "\n":
                lines.append("")
            elif piece == "\x1b[1A":
                lines.pop()
            elif piece == "\x1b[2K":
                lines[-1] = ""
            else:
                lines[-1] += piece
        return [line.rstrip() for line in lines]


@asynccontextmanager
async def on_terminal(*arguments: str, **more: str) -> AsyncIterator[Terminal]:
    """A command whose stdin, stdout and stderr are a terminal of 80 columns; at the end it has ended."""
    import pty  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - likewise

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    try:
        async with await anyio.open_process(
            [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment(**more)
        ) as process:
            os.close(follower)
            terminal = Terminal(process, leader)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_read, leader, terminal)
                try:
                    with anyio.fail_after(30):
                        yield terminal
                        await process.wait()
                except BaseException:
                    process.send_signal(signal.SIGKILL)
                    raise
    finally:
        os.close(leader)


async def _read(leader: int, terminal: Terminal) -> None:
    rest = b""
    while True:
        await anyio.wait_readable(leader)
        try:
            rest += os.read(leader, 65_536)
        except OSError:  # nobody holds the other end
            return
        # A character may come in two pieces.
        text = rest.decode(errors="ignore")
        rest = rest[len(text.encode()) :]
        terminal.written += text
        terminal.changed.set()
