"""A program in a pseudo-terminal: keys go in, and what it has drawn can be searched."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_ROWS, _COLUMNS = 45, 130
_MOVES_RIGHT = re.compile(r"\x1b\[\d*C")
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")
DOWN, ENTER, ESCAPE, INTERRUPT = "\x1b[B", "\r", "\x1b", "\x03"


class Terminal:
    """A terminal that a program is in.

    Args:
        keyboard: The descriptor that keys are written to and drawings are read from.
    """

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self._drawn = b""
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def drawn(self) -> str:
        """Return everything drawn so far, without colours and positions."""
        text = self._drawn.decode(errors="replace")
        return _CONTROL.sub("", _MOVES_RIGHT.sub(" ", text))

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as slowly as a person: programs take fast ones for pasted text."""
        for key in keys:
            os.write(self._keyboard, key.encode())
            time.sleep(0.5)

    def wait_for(self, seen: Callable[[], object], seconds: float = 120.0) -> None:
        """Wait until something is so."""
        ends = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < ends, self.drawn[-4_000:]
            time.sleep(0.1)

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._reader.join(5)

    def _read(self) -> None:
        while not self._closing.is_set():
            ready, _, _ = select.select([self._keyboard], [], [], 0.1)
            if ready:
                try:
                    self._drawn += os.read(self._keyboard, 65_536)
                except OSError:  # the program has ended
                    return


@contextmanager
def in_terminal(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a program in a terminal; at the end it is ended, if it has not ended by itself."""
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    os.close(screen)
    terminal = Terminal(keyboard)
    try:
        yield terminal
        _leave(terminal, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        terminal.close()
        os.close(keyboard)


def _leave(terminal: Terminal, process: "subprocess.Popen[bytes]") -> None:
    """End the program as a user does. Keys that come in the middle of a turn may be lost, so they are repeated."""
    for _ in range(6):
        terminal.press("/exit", ENTER)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
        terminal.press(INTERRUPT, INTERRUPT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
    raise AssertionError(terminal.drawn[-4_000:])
