"""Writes docs/images/answer.svg: a question and its answer on a terminal; --check says whether the file is stale.

The command runs in a pseudo-terminal before the sandbox, so the picture shows what a reader gets.
"""

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "answer.svg"
QUESTION = "Which articles from March are still drafts?"
COLUMNS = 80

FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>An answer on a terminal</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, monospace }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""
"""Without the fonts that rich would load from a server."""


def picture() -> str:
    """Return the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f'$ contit-mcp ask --sandbox "{QUESTION}"', style="bold"))
    console.print(Text.from_ansi(answer()))
    svg = console.export_svg(title="", code_format=FORMAT, unique_id="answer")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def answer() -> str:
    """Return what the command writes to a terminal."""
    terminal, end = os.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_")}
    environment |= {"CONTIT_MCP_STORE": "memory", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    command = [sys.executable, "-m", "contit_mcp", "ask", "--sandbox", "--run-seconds", "0", QUESTION]
    try:
        subprocess.run(command, env=environment, stdout=end, stderr=subprocess.PIPE, check=True, timeout=60)  # noqa: S603 - ours
    finally:
        os.close(end)
    written = b""
    with os.fdopen(terminal, "rb", buffering=0) as reader, suppress(OSError):  # EIO is the end of a terminal
        while chunk := reader.read(65_536):
            written += chunk
    return written.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    text = picture()
    if "--check" not in sys.argv:
        PICTURE.write_text(text, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PICTURE.relative_to(ROOT)} is stale: make docs")
