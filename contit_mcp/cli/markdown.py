"""Answers for people: rendered Markdown on a terminal where the extra `terminal` is installed, else as they are."""

import sys

import click


def show_markdown(text: str) -> None:
    """Print an answer, set in from the left."""
    if sys.stdout.isatty():
        try:
            # Only here: it is optional, and importing it takes longer than all else this command does.
            from rich.console import Console  # noqa: PLC0415
            from rich.markdown import Markdown  # noqa: PLC0415
            from rich.padding import Padding  # noqa: PLC0415
        except ImportError:
            pass
        else:
            Console().print(Padding(Markdown(text), (0, 3)))
            return
    click.echo("".join(f"   | {line}\n" for line in text.splitlines()), nl=False)
