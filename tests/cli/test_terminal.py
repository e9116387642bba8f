"""`contit-mcp ask` on a real pseudo-terminal: what is seen while it waits and what stays; and Ctrl-C, with pipes too."""

import io
import json
import re
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from contit_mcp.cli.terminal import show_answer
from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import sandbox_on_port
from tests.cli.command_line import on_terminal, run, started, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and signals are POSIX's"),
]

MARCH = "List all published articles from March 2026"
HIDES_THE_CURSOR = "\x1b[?25l"
COLOUR = re.compile(r"\x1b\[[\d;]*[34]\d[\d;]*m")
LONG_RUN = SandboxOptions(run_seconds=60)
LEAVES_WITHIN = 3.0
"""Seconds, on a slow machine; it is 0.1 s on a quick one."""


async def test_a_spinner_shows_state_and_time_and_is_gone_at_the_end() -> None:
    async with (
        sandbox_on_port(SandboxOptions(run_seconds=3)) as (url, sandbox),
        on_terminal("ask", MARCH, **upstream(url)) as terminal,
    ):
        await terminal.until(lambda text: re.search(r"0:00:01.*Contit is working", text) is not None)
        assert len(terminal.screen()) == 1
    assert terminal.process.returncode == 0
    assert HIDES_THE_CURSOR not in terminal.written  # Ctrl-Z would leave it hidden
    shown = terminal.screen()
    assert shown[0] == "I found 12 published articles from March 2026. Here are the most recent:"
    assert " 2 Weekly Update (March 14)" in shown  # rendered: no asterisks
    line = "".join(shown[-3:])
    assert re.fullmatch(rf'.*[\d.]+ s\. Go on: contit-mcp ask --thread {sandbox.runs[0].thread_id} "\.\.\."', line)
    assert not any("is working" in line for line in shown)
    assert COLOUR.search(terminal.written)


async def test_a_terminal_without_colours_or_abilities_is_respected(tmp_path: Path) -> None:
    """NO_COLOR (no-color.org), TERM=dumb, and an installation without the extra `terminal`."""
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys; sys.modules['rich'] = None", encoding="utf-8")
    async with sandbox_on_port() as (url, _):
        async with on_terminal("ask", MARCH, **upstream(url, NO_COLOR="1")) as terminal:
            pass
        assert ("\x1b[" in terminal.written, COLOUR.search(terminal.written)) == (True, None)
        for more in ({"TERM": "dumb"}, {"PYTHONPATH": str(tmp_path)}):
            async with on_terminal("ask", MARCH, **upstream(url, **more)) as terminal:
                pass
            assert terminal.screen()[0].startswith("I found 12")
            assert "**Weekly Update**" in terminal.written
            assert "\x1b" not in terminal.written


# --- nothing of an answer is lost, and nothing of it moves the cursor


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a terminal of this width gets of an answer, without colours."""
    screen = Screen()
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", screen)
        show_answer(text)
    return re.sub(r"\x1b\[[\d;]*m|\r", "", screen.getvalue())


LONG = "https://example.com/a/very/long/path/that/is/wider/than/any/terminal/of/eighty/columns/index.html?id=1"
WORD = "an_id_that_is_wider_than_a_terminal_of_forty_or_even_of_eighty_columns_is_not_cut_short"


@pytest.mark.parametrize("columns", [120, 80, 40])
@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Wrap it in <strong>, then </strong>.", ["<strong>", "</strong>"]),
        ("<div>\n<p>One</p>\n</div>", ["<div>", "<p>One</p>"]),
        ("# About <h1>", ["About <h1>"]),
        ("**bold <i>** and *it <u>*", ["bold <i>", "it <u>"]),
        ("a comment <!-- hidden --> here", ["<!-- hidden -->"]),
        ("<details><summary>More</summary>\n\ntext\n\n</details>", ["<summary>More</summary>", "</details>"]),
        ("`<code>` and &lt;pre&gt;", ["<code>", "<pre>"]),
        ("| tag | use |\n|---|---|\n| <nav> | `<a href>` |", ["<nav>", "<a href>"]),
        ("[safe](https://evil.example/x)", ["safe", "https://evil.example/x"]),
        (f"| name | page |\n|---|---|\n| one | [Page]({LONG}) |", ["Page", LONG]),
        (f"| page |\n|---|\n| <{LONG}> |", [LONG]),
        ("| cover |\n|---|\n| ![Cover](https://img.example/c.png) |", ["Cover", "https://img.example/c.png"]),
        ("![Cover](https://img.example/c.png)", ["Cover", "https://img.example/c.png"]),
        ("[![Cover](https://i.example/c)](https://page.example/)", ["https://i.example/c", "https://page.example/"]),
        (f"| id |\n|---|\n| `{WORD}` |", [WORD]),
        ("### [Heading](https://head.example/h)", ["Heading", "https://head.example/h"]),
        ("see\rSEEN \x1b[31mred \x9b2J \x1b]0;title\x07", ["see", "SEEN", "[31mred"]),
    ],
)  # fmt: skip
def test_no_tag_and_no_address_is_lost(
    text: str, visible: list[str], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assistant of a CMS answers about tags and with links; rich alone would drop the one and cut the other."""
    screen = shown(text, columns, monkeypatch)
    assert max(map(len, screen.split("\n"))) <= columns
    joined = re.sub(r"\s|─", "", screen)  # lines are broken anywhere
    for part in visible:
        assert part.replace(" ", "") in joined
    assert "\x1b" not in screen


def test_of_a_table_that_does_not_fit_every_character_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [f"{letter * 9}{letter.upper()}" for letter in "abcdef"]
    screen = shown(f"|{'|'.join(cells)}|\n|{'-|' * 6}\n", 40, monkeypatch)
    assert [screen.count(letter) for letter in "abcdefABCDEF"] == [9] * 6 + [1] * 6


# --- Ctrl-C


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.02)


async def asked_about(sandbox: SandboxRecord, endpoint: str = "status") -> None:
    """Wait until the sandbox has had a request of this kind."""
    await until(lambda: any(request.endpoint == endpoint for request in sandbox.requests))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_ask_leaves_the_command_that_fetches_its_answer(number: signal.Signals) -> None:
    async with sandbox_on_port(SandboxOptions(run_seconds=3)) as (url, sandbox):
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            await asked_about(sandbox)
            asking.process.send_signal(number)
            with anyio.fail_after(LEAVES_WITHIN):
                left = await asking.ended()
        (known,) = sandbox.runs
        command = f"contit-mcp ask --thread {known.thread_id} --run {known.run_id}"
        assert left.stderr == f"Interrupted. Contit is still working on it; fetch the answer with:\n  {command}\n"
        assert (left.returncode, left.stdout) == (130, "")
        fetched = await run(*shlex.split(command)[1:], **upstream(url))
        assert "20 draft items" in fetched.stdout
    assert len(sandbox.runs) == 1


async def test_an_interrupted_ask_is_an_object_in_json_also_while_its_start_is_being_sent() -> None:
    """The start is waited for, so that its ids are told."""
    async with sandbox_on_port(LONG_RUN) as (url, sandbox):
        sandbox.add_fault(parse_fault("delay on=start seconds=1"))
        async with started("ask", "--json", "How many drafts are there?", **upstream(url)) as asking:
            await until(lambda: sandbox.runs)
            asking.process.send_signal(signal.SIGINT)
            left = await asking.ended()
    result = json.loads(left.stdout)
    assert (left.returncode, left.stderr, result["status"]) == (130, "", "in_progress")
    assert result["next_step"].endswith(f"--run {sandbox.runs[0].run_id} --json")


async def test_interrupted_before_there_is_a_run_it_says_so() -> None:
    async with sandbox_on_port(LONG_RUN) as (url, sandbox):
        sandbox.add_fault(parse_fault("503 on=start retry_after=30 times=99"))
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            await asked_about(sandbox, "start")
            await anyio.sleep(0.1)
            asking.process.send_signal(signal.SIGINT)
            left = await asking.ended()
    assert (left.returncode, left.stderr) == (130, "Interrupted; nothing was started.\n")
    assert sandbox.runs == []


async def test_on_a_terminal_ctrl_c_erases_the_spinner_and_leaves_the_handle() -> None:
    async with sandbox_on_port(LONG_RUN) as (url, sandbox), on_terminal("ask", MARCH, **upstream(url)) as terminal:
        await terminal.until(lambda text: "is working" in text)
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.returncode == 130
    (known,) = sandbox.runs
    assert terminal.screen()[:2] == [
        "Interrupted. Contit is still working on it; fetch the answer with:",
        f"  contit-mcp ask --thread {known.thread_id} --run {known.run_id}",
    ]


async def test_the_second_ctrl_c_leaves_at_once() -> None:
    async with sandbox_on_port(LONG_RUN) as (url, sandbox):
        sandbox.add_fault(parse_fault("delay on=start seconds=20"))
        async with on_terminal("ask", MARCH, **upstream(url)) as terminal:
            await terminal.until(lambda text: re.search("0:00:01.*asking Contit", text) is not None)
            terminal.process.send_signal(signal.SIGINT)
            await terminal.until(lambda text: "leaving (Ctrl-C: at once)" in text)
            terminal.process.send_signal(signal.SIGINT)
            with anyio.fail_after(LEAVES_WITHIN):
                await terminal.process.wait()
    assert terminal.process.returncode == 130
