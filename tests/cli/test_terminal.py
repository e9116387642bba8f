"""`contit-mcp ask` on a real pseudo-terminal: what is seen while it waits, and what stays."""

import re
import signal
import sys
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from tests.children import on_port, sandbox_on_port
from tests.cli.command_line import on_terminal, on_terminal_of, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not on Windows"),
]

MARCH = "List all published articles from March 2026"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[[\d;]*[34]\d[\d;]*m")
BRAILLE = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")


async def test_a_spinner_shows_state_and_time_and_is_gone_at_the_end() -> None:
    async with (
        sandbox_on_port(SandboxOptions(run_seconds=3)) as (url, _),
        on_terminal("ask", MARCH, **upstream(url)) as terminal,
    ):
        await terminal.until(lambda text: "1 s  in_progress" in text)
        assert len(terminal.screen()) == 1
        assert BRAILLE.match(terminal.screen()[0])
    assert terminal.process.returncode == 0
    assert terminal.written.count(HIDE) == terminal.written.count(SHOW) == 1
    assert terminal.written.index(HIDE) < terminal.written.index(SHOW) < terminal.written.index("I found 12")
    shown = terminal.screen()
    assert shown[0] == "I found 12 published articles from March 2026. Here are the most recent:"
    assert " 2 Weekly Update (March 14)" in shown  # rendered: no asterisks
    assert re.fullmatch(r'[\d.]+ s\. Go on: contit-mcp ask --last "\.\.\."', shown[-2])
    assert not any("in_progress" in line for line in shown)
    assert COLOUR.search(terminal.written)


@pytest.mark.parametrize("columns", [40, 12, 1])
async def test_no_line_of_the_spinner_or_the_answer_is_wider_than_the_terminal(columns: int) -> None:
    async with (
        sandbox_on_port(SandboxOptions(run_seconds=0.7)) as (url, _),
        on_terminal_of(columns, "ask", "List drafts in March 2026", **upstream(url)) as terminal,
    ):
        await terminal.until(lambda text: BRAILLE.search(text) is not None)
    assert terminal.process.returncode == 0
    waiting, _, answer = terminal.written.partition(SHOW)
    drawings = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", waiting).split("\r")
    assert max(map(len, drawings)) <= max(1, columns - 1)
    if columns == 40:
        terminal.written = answer
        assert max(len(line) for line in terminal.screen()[:-2]) <= columns


async def test_no_color_is_honoured_by_the_spinner_and_the_answer() -> None:
    """Set and not empty (documented: no-color.org)."""
    async with sandbox_on_port() as (url, _), on_terminal("ask", MARCH, **upstream(url, NO_COLOR="1")) as terminal:
        pass
    assert "I found 12" in terminal.written
    assert BRAILLE.search(terminal.written)
    assert not COLOUR.search(terminal.written)
    assert "\x1b[2m" not in terminal.written


async def test_an_encoding_without_braille_gets_another_spinner() -> None:
    async with sandbox_on_port() as (url, _):
        ascii_only = upstream(url, PYTHONIOENCODING="ascii", NO_COLOR="1")
        async with on_terminal("ask", MARCH, **ascii_only) as terminal:
            await terminal.until(lambda text: re.search(r"/ \d+ s", text) is not None)
    assert terminal.process.returncode == 0
    assert terminal.written.isascii()


async def test_a_dumb_terminal_gets_plain_text() -> None:
    async with sandbox_on_port() as (url, _), on_terminal("ask", MARCH, **upstream(url, TERM="dumb")) as terminal:
        pass
    assert terminal.screen()[0].startswith("I found 12")
    assert "**Weekly Update**" in terminal.written
    assert "\x1b" not in terminal.written


async def test_without_rich_the_answer_is_printed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    async with (
        sandbox_on_port() as (url, _),
        on_terminal("ask", MARCH, **upstream(url, PYTHONPATH=str(tmp_path))) as terminal,
    ):
        pass
    assert "**Weekly Update**" in terminal.written


async def test_ctrl_c_erases_the_spinner_and_leaves_the_handle() -> None:
    async with (
        sandbox_on_port(SandboxOptions(run_seconds=60)) as (url, sandbox),
        on_terminal("ask", MARCH, **upstream(url)) as terminal,
    ):
        await terminal.until(lambda text: "in_progress" in text)
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.returncode == 130
    (known,) = sandbox.runs
    handle = f"contit-mcp ask --thread {known.thread_id} --run {known.run_id}"
    assert terminal.screen()[:2] == [
        "Interrupted. Contit is still working on it; fetch the answer with:",
        f"  {handle}",
    ]
    assert terminal.written.index(SHOW) < terminal.written.index("Interrupted")


async def test_leaving_at_once_gives_the_cursor_back() -> None:
    async with on_terminal("ask", MARCH, CONTIT_API_KEY="k", CONTIT_BASE_URL="http://10.255.255.1") as terminal:
        pass
    assert "must begin with https://" in terminal.written
    async with sandbox_on_port(SandboxOptions(run_seconds=60)) as (url, sandbox):
        sandbox.add_fault(parse_fault("delay on=start seconds=20"))
        async with on_terminal("ask", MARCH, **upstream(url)) as terminal:
            await terminal.until(lambda text: "1 s  asking Contit" in text)
            terminal.process.send_signal(signal.SIGINT)
            await terminal.until(lambda text: "leaving (Ctrl-C: at once)" in text)
            terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.returncode == 130
    assert terminal.written.endswith(SHOW)
    assert terminal.screen() == [""]


async def test_ctrl_z_gives_the_shell_its_cursor_and_takes_it_back_after_fg() -> None:
    async with (
        sandbox_on_port(SandboxOptions(run_seconds=3)) as (url, _),
        on_terminal("ask", MARCH, **upstream(url)) as terminal,
    ):
        await terminal.until(lambda text: "in_progress" in text)
        terminal.process.send_signal(signal.SIGTSTP)
        await terminal.until(lambda text: SHOW in text)
        await anyio.sleep(0.1)
        terminal.process.send_signal(signal.SIGCONT)
    assert terminal.process.returncode == 0
    assert re.findall(r"\x1b\[\?25[hl]", terminal.written) == [HIDE, SHOW, HIDE, SHOW]


async def test_nothing_in_an_answer_moves_the_cursor_or_hides_where_a_link_leads() -> None:
    text = "see\rSEEN &#27;[31mred &#x9b;2J <b>bold</b> [safe](https://evil.example/x) \x1b]0;title\x07"

    async def start(request: Request) -> JSONResponse:
        return JSONResponse({"threadId": "t", "runId": "r"})

    async def status(request: Request) -> JSONResponse:
        return JSONResponse({"status": "completed"})

    async def response(request: Request) -> JSONResponse:
        return JSONResponse({"response": text})

    contit = Starlette(
        routes=[
            Route("/ai-assistant/thread", start, methods=["POST"]),
            Route("/ai-assistant/thread/t/run/r/status", status),
            Route("/ai-assistant/thread/t/response", response),
        ]
    )
    async with on_port(contit) as url:
        for more in ({}, {"TERM": "dumb"}):
            async with on_terminal("ask", "x", **upstream(url, NO_COLOR="1", **more)) as terminal:
                pass
            written = terminal.written.partition(SHOW)[2] or terminal.written
            assert "\x1b]" not in written
            assert "\x1b[31m" not in written
            assert "\x9b" not in written
            assert "\r" not in written.replace("\r\n", "")
            assert "https://evil.example/x" in written
            assert "see" in terminal.screen()[0]
