"""`contit-mcp` as a person starts it: inside this process, with pipes, on a terminal, or as a server."""

import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT, CompletedProcess, Popen
from unittest import mock

import anyio
import pytest

from contit_mcp.cli.main import main
from contit_mcp.hosts.host import Machine
from contit_mcp.hosts.table import HOSTS
from tests.children import COMMAND, STATE, clean_environment
from tests.rules.tree import ROOT

NOWHERE = "http://127.0.0.1:9"  # nothing listens there
Ended = CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """Return this environment with `more`; of Contit's settings only the state folder is kept (fixture `state`)."""
    return clean_environment() | {"CONTIT_MCP_STATE_DIR": os.environ.get("CONTIT_MCP_STATE_DIR", STATE.name)} | more


def upstream(url: str, **more: str) -> dict[str, str]:
    return {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", **more}


def file_of(slug: str, scope: str = "user") -> Path:
    """Return the file in which this host, on this machine, keeps its servers."""
    return HOSTS[slug].place(Machine.this(), scope).path


# --- Running a command, and its output


def run_here(*arguments: str, **variables: str | None) -> Ended:
    """Run a command inside this process, which is quicker than a new one. A variable that is None is not set."""
    return run_with_stdin(b"", *arguments, **variables)


def run_with_stdin(stdin: bytes, /, *arguments: str, **variables: str | None) -> Ended:
    given = {name: value for name, value in (environment() | variables).items() if value is not None}
    stdout, stderr = io.BytesIO(), io.BytesIO()
    texts = [io.TextIOWrapper(each, "utf-8", write_through=True) for each in (io.BytesIO(stdin), stdout, stderr)]
    with (
        mock.patch.dict(os.environ, given, clear=True),
        mock.patch.multiple(sys, argv=["contit-mcp", *arguments], stdin=texts[0], stdout=texts[1], stderr=texts[2]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Ended(arguments, int(ended.value.code or 0), stdout.getvalue().decode(), stderr.getvalue().decode())


async def run(*arguments: str, **more: str) -> Ended:
    """Run a command as a process, with pipes."""
    with anyio.fail_after(60):
        done = await anyio.run_process([*COMMAND, *arguments], input=b"", env=environment(**more), check=False)
    return Ended(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def output_of(ended: Ended, code: int) -> str:
    """Check the exit code, and return all that the command has printed."""
    output = ended.stdout + ended.stderr
    assert ended.returncode == code, output
    return output


_AN_ERROR = re.compile(r"(?:note: [^\n]+\n)*(?:Usage: [^\n]+\n)?error: [^\n]+\nhint: [^\n]+\n")


def has_clean_output(ended: Ended) -> bool:
    """Return whether there is no traceback, no bug, and at most one error, with its hint."""
    output = ended.stdout + ended.stderr
    is_clean = all(text not in output for text in ("Traceback", "That is a bug", "Exception ignored"))
    return is_clean and ("error: " not in ended.stderr or _AN_ERROR.search(ended.stderr) is not None)


# --- Programs that are used while they run


@contextmanager
def serving(
    command: Sequence[str | Path], given: Mapping[str, str], port: int, folder: Path | None = None
) -> Iterator["Popen[bytes]"]:
    """Run a server, yield once its port takes connections, and end it by SIGTERM."""
    with socket.create_server(("127.0.0.1", port)):
        pass  # no other server listens there
    with (
        tempfile.TemporaryFile() as output,
        Popen(command, cwd=folder, env=given, stdin=DEVNULL, stdout=output, stderr=STDOUT) as process,
    ):
        try:
            ends = time.monotonic() + 90
            while process.poll() is None and time.monotonic() < ends:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            else:
                output.seek(0)
                raise AssertionError(output.read()[-2_000:])
            yield process
            process.terminate()
            process.wait(10)
        finally:
            process.kill()


class Reader:
    """A reader of the documentation, whose home folder has nothing but the installed program."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home, folder = home, home / ".contit-mcp" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "contit-mcp").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m contit_mcp "$@"\n', encoding="utf-8")
        (folder / "contit-mcp").chmod(0o755)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        self.environment = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **more}

    def types(self, text: str) -> str:
        """Run a block, and return what it prints."""
        command = ["bash", "-eu", "-o", "pipefail", "-c", text]
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serves(self, text: str, port: int) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        """Run a block that ends with a server, which serves until the `with` ends."""
        return serving(["bash", "-eu", "-c", text], self.environment, port, self.home)


class Terminal:
    """A pseudo-terminal with a program on it: keys go in, and what the program has written can be searched."""

    def __init__(self, process: "Popen[bytes]", descriptor: int, seconds: float) -> None:
        self.process = process
        self._descriptor, self._seconds, self._written = descriptor, seconds, b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the program has ended
            while data := os.read(self._descriptor, 65_536):
                self._written += data

    @property
    def written(self) -> str:
        return self._written.decode(errors="replace")

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as slowly as a person: programs take fast ones for pasted text."""
        for key in keys:
            os.write(self._descriptor, key.encode())
            time.sleep(0.5)

    def wait_for(self, condition: Callable[[], object], seconds: float | None = None) -> None:
        ends = time.monotonic() + (seconds or self._seconds)
        while not condition():
            assert time.monotonic() < ends, self.written[-4_000:]
            time.sleep(0.1)

    def screen(self) -> list[str]:
        """Return the lines that are visible now, without colours, and without blanks at their ends."""
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


@contextmanager
def in_terminal(
    command: Sequence[str | Path], given: Mapping[str, str], folder: Path | None = None, *,
    size: tuple[int, int] = (24, 80), seconds: float = 30.0,
) -> Iterator[Terminal]:  # fmt: skip
    """Run a program in a terminal; `seconds` limits each wait, and the wait for its end."""
    import pty  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - likewise

    descriptor, screen = pty.openpty()
    termios.tcsetwinsize(screen, size)
    process = Popen(command, cwd=folder, env=given, stdin=screen, stdout=screen, stderr=screen, start_new_session=True)
    os.close(screen)
    terminal = Terminal(process, descriptor, seconds)
    try:
        yield terminal
        process.wait(seconds)
    finally:
        process.kill()
        process.wait()
        terminal.reader.join(5)
        os.close(descriptor)


def on_terminal(*arguments: str, **more: str) -> AbstractContextManager[Terminal]:
    """Run a command in a terminal of 80 columns; at the end, wait until it has ended."""
    return in_terminal([*COMMAND, *arguments], environment(**more))
