"""The terminal before us: what it can show, answers drawn on it, commands to copy, a spinner, and Ctrl-C."""

import asyncio
import contextlib
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

import anyio
import click

from contit_mcp.errors import ConfigurationError

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT, as shells count."""

_USUAL_WIDTH = 80
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_OUR_COMMAND = re.compile(
    r"\bcontit-mcp (?=(?:stdio|http|ask|demo|check|install|uninstall|healthcheck|sandbox|settings|runs|handle)\b)"
)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal that can do more than print lines (TERM is not dumb)."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour() -> bool:
    """Whether NO_COLOR is not set (no-color.org: set means present and not empty)."""
    return not os.environ.get("NO_COLOR")


def columns(stream: TextIO) -> int:
    """Return the width of the stream's own terminal; the usual one if it has none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


def without_controls(text: str) -> str:
    """Return the text without escape sequences, carriage returns and lone surrogates.

    The client removes most of these from answers already; here no part of the text can move the cursor, whatever its
    source.
    """
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def dim(text: str) -> str:
    """Return the text as an aside on stderr."""
    return f"\x1b[2m{text}\x1b[0m" if is_terminal(sys.stderr) and wants_colour() else text


# --- commands to copy


def shell_line(*words: str) -> str:
    """Return the words as one line that this system's shell reads back as the same words."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def our_command() -> str:
    """Return this command as a shell finds it: its full path if it is not on PATH, as after `pip install` in a venv."""
    from contit_mcp.hosts.files import own_command  # noqa: PLC0415 - start-up time

    with contextlib.suppress(ConfigurationError, OSError):
        if shutil.which("contit-mcp") is None:
            return shell_line(*own_command(sys.argv[0], sys.executable))
    return "contit-mcp"


def as_printed(text: str) -> str:
    """Return a hint with our commands as a shell finds them."""
    if not _OUR_COMMAND.search(text) or (ours := our_command()) == "contit-mcp":
        return text
    return _OUR_COMMAND.sub(lambda _: f"{ours} ", text)


def error_text(message: str, hint: str | None = None) -> str:
    """Return an error as all commands print it: one line, and a hint whose commands work as printed."""
    return without_controls(f"error: {message}" + (f"\nhint: {as_printed(hint)}" if hint else ""))


# --- answers


def show_answer(text: str) -> None:
    """Print an answer: rendered on a terminal; in a pipe the text and a line end, exactly."""
    if not sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
    elif not _rendered(text):
        click.echo(without_controls(text))


def show_set_in(text: str) -> None:
    """Print an answer among other things, indented."""
    if not _rendered(text, indent=3):
        click.echo("".join(f"   | {line}\n" for line in without_controls(text).splitlines()), nl=False)


def _rendered(text: str, *, indent: int = 0) -> bool:
    """Render the text if stdout is a terminal that can show it and rich is installed; return whether it was done."""
    if not is_terminal(sys.stdout):
        return False
    try:
        # Only here: it is optional, and of no use in a pipe.
        from rich.console import Console  # noqa: PLC0415
        from rich.markdown import Markdown  # noqa: PLC0415
        from rich.padding import Padding  # noqa: PLC0415
    except ImportError:
        return False
    width = columns(sys.stdout)
    text = without_controls(text)
    page = Markdown(text, hyperlinks=False)  # a link is shown with its address, since its words can mislead
    page.parsed = _all_visible(page.parsed, text.split("\n"), width - indent)
    console = Console(width=width, no_color=not wants_colour())
    console.print(Padding(page, (0, indent)) if indent else page)
    return True


def _all_visible(tokens: list[Any], lines: list[str], width: int) -> list[Any]:
    """Return the tokens of a Markdown page with HTML as text, and a table that would be cut as it is written."""
    from rich.cells import cell_len  # noqa: PLC0415 - optional

    shown: list[Any] = []
    widest: dict[int, int] = {}
    table_at, column = -1, 0
    for token in tokens:
        if token.type == "table_open":
            table_at, widest = len(shown), {}
        elif token.type == "tr_open":
            column = 0
        elif token.type == "html_block":
            token.type = "code_block"
        _make_text(token.children or [], in_table=table_at >= 0)
        if table_at >= 0 and token.type == "inline":
            words = "".join(part.content for part in token.children).split()
            widest[column] = max([widest.get(column, 0), *map(cell_len, words)])
            column += 1
        shown.append(token)
        if token.type == "table_close":
            if sum(widest.values()) + 3 * len(widest) + 1 > width:
                start, end = shown[table_at].map
                raw = type(token)("code_block", "code", 0, content="\n".join(lines[start:end]) + "\n")
                shown[table_at:] = [raw]
            table_at = -1
    return shown


def _make_text(parts: list[Any], *, in_table: bool) -> None:
    """Make text of what rich would drop: HTML, the addresses of images, and in tables those of links."""
    address = ""
    for part in parts:
        if part.type == "image":
            part.content, part.children = f"{part.content} ({part.attrs.get('src')})", None
        elif in_table and part.type == "link_open":
            address = str(part.attrs.get("href"))
        elif in_table and part.type == "link_close":
            part.content = f" ({address})"
        elif part.type != "html_inline":
            continue
        part.type, part.tag, part.nesting = "text", "", 0


# --- the spinner

_HIDE_CURSOR, _SHOW_CURSOR, _ERASED = "\x1b[?25l", "\x1b[?25h", "\r\x1b[K"


class Spinner:
    """One line of stderr with the time and a text, drawn repeatedly. Without a terminal it does nothing.

    Between two drawings the cursor is at the beginning of the line, so that a log line covers it.
    """

    def __init__(self) -> None:
        self._drawing = is_terminal(sys.stderr)
        self._began = time.monotonic()
        self._text = ""
        self._frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        try:
            self._frames.encode(sys.stderr.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            self._frames = "|/-\\"

    def say(self, text: str) -> None:
        """Show this text from now on; characters that no state of Contit's has become question marks."""
        self._text = "".join(letter if " " <= letter <= "~" else "?" for letter in text)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Hide the cursor while inside. It comes back however this ends, also while Ctrl-Z stops the process."""
        if not self._drawing:
            yield
            return
        self._write(_HIDE_CURSOR)
        stop = getattr(signal, "SIGTSTP", None)  # Windows has none

        def on_stop(_: int, __: FrameType | None) -> None:
            self._write(_ERASED + _SHOW_CURSOR)
            os.kill(os.getpid(), signal.SIGSTOP)
            # The process continues here after `fg`.
            self._write(_HIDE_CURSOR)

        before = signal.signal(stop, on_stop) if stop else None
        try:
            yield
        finally:
            self.leave_at_once()
            if stop:
                signal.signal(stop, before)

    async def turn(self) -> None:
        """Draw until cancelled."""
        for frame in itertools.cycle(self._frames):
            if self._drawing:
                seconds = duration(time.monotonic() - self._began)
                # In the last column some terminals would go to the next line.
                line = f"{frame} {seconds}  {self._text}"[: max(1, columns(sys.stderr) - 1)]
                if wants_colour():
                    line = f"\x1b[36m{line[:1]}\x1b[0m{line[1:]}"
                self._write(f"{line}\x1b[K\r")
            await anyio.sleep(0.1)

    def leave_at_once(self) -> None:
        """Erase the line for good."""
        if self._drawing:
            self._drawing = False
            self._write(_ERASED + _SHOW_CURSOR)

    def _write(self, text: str) -> None:
        """Write past the stream, which may be in use when a signal's handler calls this."""
        os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding or "ascii", "replace"))


def duration(seconds: float) -> str:
    """Return seconds as people say them: `12 s`, `2 min 05 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


# --- Ctrl-C


class Interruption:
    """Ctrl-C and SIGTERM during a wait: the first asks it to end, the second ends the process at once.

    Works on Windows too, where event loops take no signal handlers.
    """

    def __init__(self) -> None:
        self.happened = False

    @contextmanager
    def watched(self, *, first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
        """While inside, handle signals so instead of raising KeyboardInterrupt.

        Args:
            first: Called on the event loop, by the first signal.
            second: Called inside the handler, by the second signal, before the process ends.
        """
        loop = asyncio.get_running_loop()

        def on_signal(_: int, __: FrameType | None) -> None:
            if self.happened:
                second()
                os._exit(INTERRUPTED)
            self.happened = True
            loop.call_soon_threadsafe(first)

        # An ignored signal stays ignored: a shell starts background processes like that.
        numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
