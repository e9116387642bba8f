"""Answers for people: rendered Markdown on a terminal where the extra `terminal` is installed, else as they are."""

import sys

import click

from contit_mcp.cli.terminal import columns, is_terminal, wants_colour, without_controls


def show_answer(text: str) -> None:
    """Print an answer: rendered on a terminal; in a pipe exactly the text and a line's end."""
    if not sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
    elif not _rendered(text):
        click.echo(without_controls(text))


def show_set_in(text: str) -> None:
    """Print an answer among other things, set in from the left."""
    if not _rendered(text, indent=3):
        click.echo("".join(f"   | {line}\n" for line in without_controls(text).splitlines()), nl=False)


def _rendered(text: str, *, indent: int = 0) -> bool:
    """Render the text if stdout is a terminal that can show it and rich is there; say whether it was done."""
    if not is_terminal(sys.stdout):
        return False
    try:
        # Only here: it is optional, and of no use in a pipe.
        from rich.console import Console  # noqa: PLC0415
        from rich.markdown import Markdown  # noqa: PLC0415
        from rich.padding import Padding  # noqa: PLC0415
    except ImportError:
        return False
    # A link is shown with its address: its words alone would hide where an answer leads.
    page = Markdown(without_controls(text), hyperlinks=False)
    console = Console(width=columns(sys.stdout), no_color=not wants_colour())
    console.print(Padding(page, (0, indent)) if indent else page)
    return True
