"""A line that shows that something goes on: what, and for how long."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import anyio

from contit_mcp.cli.terminal import columns, is_terminal, wants_colour

_BRAILLE = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII = "|/-\\"
_FRAME_SECONDS = 0.1
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Spinner:
    """One line of stderr, drawn over and over, and gone at the end. Without a terminal it does nothing.

    Between two drawings the cursor stands at the line's beginning, so that a log line covers it.

    Args:
        stream: Where to draw; stderr by default.
        clock: Seconds, from any beginning.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._drawing = is_terminal(self._stream)
        self._clock = clock
        self._began = clock()
        self._text = ""
        self._width = 0
        self._frames = _BRAILLE if self._drawing and _can_encode(_BRAILLE, self._stream) else _ASCII
        self._turns = 0

    def say(self, text: str) -> None:
        """Say what goes on now. Words of Contit's are shown without what no state is spelled with."""
        self._text = "".join(letter if " " <= letter <= "~" else "?" for letter in text)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Be there while inside: the cursor is hidden, and comes back however this ends."""
        if not self._drawing:
            yield
            return
        with self._tidied_by_ctrl_z():
            self._stream.write(_HIDE_CURSOR)
            try:
                yield
            finally:
                self._stream.write(self._erased())
                self._stream.flush()
                self._drawing = False

    async def turn(self) -> None:
        """Draw until cancelled."""
        while True:
            self.draw()
            await anyio.sleep(_FRAME_SECONDS)

    def draw(self) -> None:
        """Draw the line as it is now, cut to the terminal, over the one before."""
        if not self._drawing:
            return
        most = max(1, columns(self._stream) - 1)  # in the last column some terminals would go to the next line
        frame = self._frames[self._turns % len(self._frames)]
        line = f"{frame} {duration(self._clock() - self._began)}  {self._text}"[:most]
        padding = " " * (min(self._width, most) - len(line))
        self._turns += 1
        self._width = len(line)
        if wants_colour():
            line = f"\x1b[36m{line[:1]}\x1b[0m{line[1:]}"
        self._stream.write(f"\r{line}{padding}\r")
        self._stream.flush()

    def leave_at_once(self) -> None:
        """Tidy up from inside a signal's handler, where the stream itself may be in use."""
        if self._drawing:
            self._drawing = False
            os.write(self._stream.fileno(), self._erased().encode())

    @contextmanager
    def _tidied_by_ctrl_z(self) -> Iterator[None]:
        """While inside, Ctrl-Z gives the shell its cursor back before the process stops."""
        if sys.platform == "win32":
            yield
            return

        def on_stop(_: int, __: FrameType | None) -> None:
            os.write(self._stream.fileno(), self._erased().encode())
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            # Here it goes on, after fg.
            signal.signal(signal.SIGTSTP, on_stop)
            os.write(self._stream.fileno(), _HIDE_CURSOR.encode())

        before = signal.signal(signal.SIGTSTP, on_stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, before)

    def _erased(self) -> str:
        return f"\r{' ' * min(self._width, columns(self._stream) - 1)}\r{_SHOW_CURSOR}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `12 s`, `2 min 05 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _can_encode(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
