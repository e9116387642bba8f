"""The terminal before us: what it can show, answers drawn on it, commands to copy, a spinner, and Ctrl-C."""

import asyncio
import contextlib
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
_COMMANDS = "stdio|http|ask|demo|check|install|uninstall|healthcheck|sandbox|settings|completion|runs|handle"
_OUR_COMMAND = re.compile(rf"\bcontit-mcp (?=(?:{_COMMANDS})\b)")
_ADDRESS = re.compile(r"https?://\S+")


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
            words, before = own_command(sys.argv[0], sys.executable)
            return shell_line(words, *before)
    return "contit-mcp"


def as_printed(text: str) -> str:
    """Return a hint with our commands as a shell finds them."""
    if not _OUR_COMMAND.search(text) or (ours := our_command()) == "contit-mcp":
        return text
    return _OUR_COMMAND.sub(lambda _: f"{ours} ", text)


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
    page.parsed = list(_all_visible(page.parsed, text.split("\n"), width - indent))
    console = Console(width=width, no_color=not wants_colour())
    console.print(Padding(page, (0, indent)) if indent else page)
    return True


def _all_visible(tokens: list[Any], lines: list[str], width: int) -> Iterator[Any]:
    """Yield the parts of a Markdown page so that rich drops none: it would drop HTML, and addresses in tables."""
    rest = iter(tokens)
    for token in rest:
        if token.type == "table_open":
            table = [token]
            while table[-1].type != "table_close":
                table.append(next(rest))
            yield from _visible_table(table, lines, width)
            continue
        if token.type == "html_block":
            token.type = "code_block"
        for part in token.children or ():
            if part.type == "html_inline":
                part.type = "text"
            elif part.type == "image":
                part.content, part.type, part.tag = f"{part.content} ({part.attrs.get('src')})", "text", ""
                part.children = None
        yield token


def _visible_table(table: list[Any], lines: list[str], width: int) -> Iterator[Any]:
    """Yield a table and the addresses in it, numbered below; one too wide is shown as it is written."""
    addresses: list[str] = []

    def numbered(address: str) -> str:
        if address not in addresses:
            addresses.append(address)
        return f"[{addresses.index(address) + 1}]"

    from rich.cells import cell_len  # noqa: PLC0415 - optional

    widest: list[int] = []
    column = 0
    for token in table:
        if token.type == "tr_open":
            column = 0
        elif token.type == "inline":
            text = _visible_cell(token.children or [], numbered)
            widest[column : column + 1] = [max([*widest[column : column + 1], *map(cell_len, text.split())], default=0)]
            column += 1
    if sum(widest) + 3 * len(widest) + 1 > width:
        start, end = table[0].map
        raw = type(table[0])("code_block", "code", 0)
        raw.content = "\n".join(lines[start:end]) + "\n"
        yield raw
        return
    yield from table
    for number, address in enumerate(addresses, start=1):
        yield type(table[0])("paragraph_open", "p", 1)
        yield type(table[0])("text", "", 0, content=f"[{number}] {address}")
        yield type(table[0])("paragraph_close", "p", -1)


def _visible_cell(parts: list[Any], numbered: Callable[[str], str]) -> str:
    """Make a number of each address in a cell; return the cell's text."""
    address: str | None = None
    for part in parts:
        if part.type == "link_open":
            address = str(part.attrs.get("href"))
            part.type, part.nesting = "text", 0
        elif part.type == "link_close":
            part.type, part.nesting, part.content = "text", 0, f" {numbered(str(address))}"
            address = None
        elif part.type == "image":
            part.content, part.type, part.tag = f"{part.content} {numbered(str(part.attrs.get('src')))}", "text", ""
            part.children = None
        elif part.type in {"text", "html_inline"}:
            part.type = "text"
            part.content = (
                _ADDRESS.sub(lambda found: numbered(found[0]), part.content)
                if address is None
                else (_ADDRESS.sub("", part.content))
            )
    return " ".join(part.content for part in parts)


# --- the spinner


class Spinner:
    """One line of stderr, drawn repeatedly and erased at the end. Without a terminal it does nothing.

    Between two drawings the cursor is at the beginning of the line, so that a log line covers it.

    Args:
        stream: Where to draw; stderr by default.
        clock: Seconds, from any beginning.
    """

    _HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._drawing = is_terminal(self._stream)
        self._clock = clock
        self._began = clock()
        self._text = ""
        self._width = 0
        self._frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        self._turns = 0
        try:
            self._frames.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            self._frames = "|/-\\"

    def say(self, text: str) -> None:
        """Show this text from now on; characters that no state of Contit's has become question marks."""
        self._text = "".join(letter if " " <= letter <= "~" else "?" for letter in text)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while inside: the cursor is hidden, and comes back however this ends."""
        if not self._drawing:
            yield
            return
        with self._tidied_by_ctrl_z():
            self._stream.write(self._HIDE_CURSOR)
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
            await anyio.sleep(0.1)

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
        """Erase the line from inside a signal's handler, where the stream itself may be in use."""
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
            # The process continues here after `fg`.
            signal.signal(signal.SIGTSTP, on_stop)
            os.write(self._stream.fileno(), self._HIDE_CURSOR.encode())

        before = signal.signal(signal.SIGTSTP, on_stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, before)

    def _erased(self) -> str:
        return f"\r{' ' * min(self._width, columns(self._stream) - 1)}\r{self._SHOW_CURSOR}"


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
