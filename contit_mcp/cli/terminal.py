"""The terminal: what it can show, answers and a spinner drawn by rich, commands to copy, and Ctrl-C."""

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from contit_mcp.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.markdown import Markdown

INTERRUPTED = 130  # the exit code after Ctrl-C: 128 and the number of SIGINT, as shells count

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_OUR_COMMAND = re.compile(r"\bcontit-mcp (?=(?:stdio|http|ask|check|install|sandbox|settings|runs)\b)")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal that can do more than print lines (TERM is not dumb)."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def without_controls(text: str) -> str:
    """Return the text without escape sequences, carriage returns and lone surrogates: none of it moves the cursor."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


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
    return _OUR_COMMAND.sub(lambda _: f"{our_command()} ", text)


def error_text(message: str, hint: str) -> str:
    """Return an error as all commands print it: one line, and a hint whose commands work as printed."""
    return without_controls(f"error: {message}\nhint: {as_printed(hint)}")


def show_answer(text: str, *, indent: int = 0) -> None:
    """Print an answer: rendered on a terminal; in a pipe the text and a line end, exactly."""
    if sys.stdout.isatty():
        text = without_controls(text)
    if is_terminal(sys.stdout) and find_spec("rich"):
        from rich.console import Console  # noqa: PLC0415 - start-up time
        from rich.padding import Padding  # noqa: PLC0415

        Console().print(Padding(_page(text), (0, 0, 0, indent)))
        return
    sys.stdout.write("".join(f"{' ' * indent}{line}\n" for line in text.split("\n")))


def _page(text: str) -> "Markdown":
    """Return a Markdown page that hides nothing: HTML is shown as text, and links and images with their addresses."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - rich's parser, optional like rich
    from rich.markdown import Markdown, TableElement  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    class FoldedTable(TableElement):  # rich cuts a word that is wider than its column
        def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
            for table in super().__rich_console__(console, options):
                for column in table.columns if isinstance(table, Table) else ():
                    column.overflow = "fold"
                yield table

    class Page(Markdown):
        elements = Markdown.elements | {"table_open": FoldedTable}

    page = Page(text, hyperlinks=False)  # else the words of a link could hide where it leads
    page.parsed = MarkdownIt("js-default").parse(text)  # the preset with tables and without HTML
    for token in page.parsed:
        for part in token.children or []:
            if part.type == "image":
                part.content = f"{part.content} ({part.attrs['src']})"
                part.type, part.tag, part.children = "text", "", None
    return page


@contextmanager
def spinner(text: str, *, drawn: bool) -> Iterator[Callable[[str], None]]:
    """Draw the elapsed time and a text on stderr while inside; yield the function that replaces the text."""
    if not (drawn and is_terminal(sys.stderr) and find_spec("rich")):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    class OpenConsole(Console):  # hides no cursor: after Ctrl-Z or a second Ctrl-C nothing would show it again
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - rich's signature
            return False

    columns = SpinnerColumn("line"), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=OpenConsole(stderr=True), transient=True) as progress:
        task = progress.add_task(text)
        yield lambda words: progress.update(task, description=without_controls(words))


@contextmanager
def interruptible(leave: Callable[[], None]) -> Iterator[None]:
    """While inside, the first SIGINT or SIGTERM calls `leave` on the event loop; the second ends the process."""
    loop = asyncio.get_running_loop()

    def on_signal(_: int, __: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, lambda *_: os._exit(INTERRUPTED))
        loop.call_soon_threadsafe(leave)

    # Not the loop's handlers, which Windows lacks. An ignored signal stays so, as in a process in the background.
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
