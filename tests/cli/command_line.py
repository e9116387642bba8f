"""`contit-mcp` as a person starts it: with pipes, or on a terminal that is looked at."""

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
from anyio.abc import Process

from tests.children import COMMAND, Piped, clean_environment, piped

STATE = Path("set by the fixture `state`")
"""The state folder of the processes that are started here."""

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}

_FOLDERS = {"XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME"}
"""By these the developer's own hosts would be found below another HOME too."""


def environment(**more: str) -> dict[str, str]:
    """This environment without anything of Contit's and without proxies, with the test's state folder and `more`."""
    kept = {name: value for name, value in clean_environment().items() if name.lower() not in _PROXIES}
    kept = {name: value for name, value in kept.items() if name not in _FOLDERS}
    kept = {name: value for name, value in kept.items() if name not in {"NO_COLOR", "SSL_CERT_FILE", "COLUMNS"}}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # commands are printed as they are on PATH
    return kept | {"CONTIT_MCP_STATE_DIR": str(STATE), "TERM": "xterm-256color", "PATH": path} | more


def upstream(url: str, **more: str) -> dict[str, str]:
    """What leads a process to this sandbox."""
    return {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **more}


async def run(*arguments: str, **more: str) -> "CompletedProcess[str]":
    """Run `contit-mcp` to its end, with pipes."""
    return await fed(b"", *arguments, **more)


async def fed(stdin: bytes, /, *arguments: str, **more: str) -> "CompletedProcess[str]":
    """Run `contit-mcp` to its end with something on its stdin."""
    with anyio.fail_after(60):
        done = await anyio.run_process([*COMMAND, *arguments], input=stdin, env=environment(**more), check=False)
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


async def run_in(folder: Path, /, *arguments: str, **more: str) -> "CompletedProcess[str]":
    """Run `contit-mcp` to its end in another current folder."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [*COMMAND, *arguments], input=b"", cwd=folder, env=environment(**more), check=False
        )
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def listed(folder: Path) -> list[str]:
    """The names of what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


def started(*arguments: str, **more: str) -> AbstractAsyncContextManager[Piped]:
    """A `contit-mcp` with pipes that the test sends signals to."""
    return piped(Piped, [*COMMAND, *arguments], environment(**more))


@dataclass
class Terminal:
    """A pseudo-terminal with a process on it."""

    process: Process
    columns: int
    leader: int
    written: str = ""
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def until(self, seen: Callable[[str], bool]) -> None:
        """Wait until what was written satisfies the test."""
        while not seen(self.written):
            self.changed = anyio.Event()
            await self.changed.wait()

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.leader, text.encode())

    def screen(self) -> list[str]:
        """The lines as they stand there now, without colours, and without blanks at their ends."""
        lines, column = [""], 0
        for piece in re.findall(r"\x1b\[K|\r|\n|[^\r\n]", re.sub(r"\x1b\[[?\d;]*[A-JL-Za-z]", "", self.written)):
            if piece == "\r":
                column = 0
            elif piece == "\x1b[K":
                lines[-1] = lines[-1][:column]
            elif piece == "\n":
                lines.append("")
            else:
                lines[-1] = lines[-1][:column].ljust(column) + piece + lines[-1][column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


def on_terminal(*arguments: str, **more: str) -> AbstractAsyncContextManager[Terminal]:
    """A `contit-mcp` on a terminal of the usual width."""
    return on_terminal_with(COMMAND, 80, *arguments, **more)


def on_terminal_of(columns: int, /, *arguments: str, **more: str) -> AbstractAsyncContextManager[Terminal]:
    """A `contit-mcp` on a terminal of this width."""
    return on_terminal_with(COMMAND, columns, *arguments, **more)


@asynccontextmanager
async def on_terminal_with(command: list[str], width: int, /, *arguments: str, **more: str) -> AsyncIterator[Terminal]:
    """A command whose stdin, stdout and stderr are a terminal of this width; at the end it has ended."""
    import pty  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - likewise

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, width))
    try:
        async with await anyio.open_process(
            [*command, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment(**more)
        ) as process:
            os.close(follower)
            terminal = Terminal(process, width, leader)
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
