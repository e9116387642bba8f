"""What the terminal before us can show, and what must not reach it."""

import os
import re
import sys
from typing import TextIO

USUAL_WIDTH = 80
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at the stream, on a terminal that can do more than a teletype (TERM is not dumb)."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour() -> bool:
    """Whether NO_COLOR is not set (no-color.org: set means present and not empty)."""
    return not os.environ.get("NO_COLOR")


def columns(stream: TextIO) -> int:
    """The width of the stream's own terminal; the usual one where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError):
        return USUAL_WIDTH


def without_controls(text: str) -> str:
    """The text as a terminal can be given it: no escape sequences, and no way back to the beginning of a line.

    The client takes most of these out of answers already; here no part of the text can move the cursor,
    whatever it has come through.
    """
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def dim(text: str) -> str:
    """The text as an aside on stderr."""
    return f"\x1b[2m{text}\x1b[0m" if is_terminal(sys.stderr) and wants_colour() else text
