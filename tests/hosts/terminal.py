"""A program in a pseudo-terminal: keys go in, and what it has drawn can be searched."""

import os
import pty
import re
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_MOVES_RIGHT = re.compile(r"\x1b\[\d*C")
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")
DOWN, ENTER, ESCAPE, INTERRUPT = "\x1b[B", "\r", "\x1b", "\x03"


class Terminal:
    """A terminal that a program is in; `keyboard` is the descriptor for keys and drawings."""

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self._drawn = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

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
        ends = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < ends, self.drawn[-4_000:]
            time.sleep(0.1)

    def _read(self) -> None:
        with suppress(OSError):  # the program has ended
            while True:
                self._drawn += os.read(self._keyboard, 65_536)


@contextmanager
def in_terminal(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a program in a terminal. It is left as a user leaves it: keys in the middle of a turn may be lost."""
    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(screen, (45, 130))
    process = subprocess.Popen(
        [str(part) for part in command], cwd=folder, env={**environment, "TERM": "xterm-256color"},
        stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
    )  # fmt: skip
    os.close(screen)
    terminal = Terminal(keyboard)
    try:
        yield terminal
        for keys in [("/exit", ENTER), (INTERRUPT, INTERRUPT)] * 6:
            terminal.press(*keys)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
                break
        assert process.returncode is not None, terminal.drawn[-4_000:]
    finally:
        process.kill()
        process.wait()
        terminal.reader.join(5)
        os.close(keyboard)
