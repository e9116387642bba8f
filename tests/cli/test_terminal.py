"""`contit-mcp ask` on a pseudo-terminal: the spinner, the answer, and Ctrl-C (also with pipes)."""

import io
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from unittest import mock

import pytest

from contit_mcp.cli.terminal import show_answer
from contit_mcp.sandbox.options import SandboxOptions, ScriptedAnswer, parse_fault
from tests.children import COMMAND, Contit, contit, polls
from tests.cli.command_line import Ended, environment, on_terminal, run_here, upstream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and signals are POSIX's")

DRAFTS, MARCH = "How many drafts are there?", "List all published articles from March 2026"
LONG = "https://example.com/a/very/long/path/that/is/wider/than/any/terminal/of/eighty/columns/index.html?id=1"
WORD = "an_id_that_is_wider_than_a_terminal_of_forty_or_even_of_eighty_columns_is_not_cut_short"
HIDES_THE_CURSOR = "\x1b[?25l"
COLOUR = re.compile(r"\x1b\[[\d;]*[34]\d[\d;]*m")
LONG_RUN = SandboxOptions(run_seconds=60)
LEAVES_WITHIN = 3.0  # seconds, on a slow machine; a quick one needs 0.1 s


def test_a_spinner_shows_state_and_time_and_is_gone_at_the_end() -> None:
    with contit(SandboxOptions(run_seconds=3)) as it, on_terminal("ask", MARCH, **upstream(it.url)) as terminal:
        terminal.wait_for(lambda: re.search(r"0:00:01.*Contit is working", terminal.written))
        assert len(terminal.screen()) == 1
    assert terminal.process.returncode == 0
    assert HIDES_THE_CURSOR not in terminal.written  # Ctrl-Z would leave it hidden
    shown = terminal.screen()
    assert shown[0] == "I found 12 published articles from March 2026. Here are the most recent:"
    assert " 2 Weekly Update (March 14)" in shown  # rendered: no asterisks
    line = "".join(shown[-3:])
    thread_id = it.record.runs[0].thread_id
    assert re.fullmatch(rf'.*[\d.]+ s\. Go on: contit-mcp ask --thread {thread_id} "\.\.\."', line)
    assert not any("is working" in line for line in shown)
    assert COLOUR.search(terminal.written)


def test_a_terminal_without_colours_or_abilities_is_respected(sandbox: Contit, tmp_path: Path) -> None:
    """NO_COLOR (no-color.org), TERM=dumb, and an installation without the extra `terminal`."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['rich'] = None", encoding="utf-8")
    with on_terminal("ask", MARCH, **upstream(sandbox.url, NO_COLOR="1")) as terminal:
        pass
    assert ("\x1b[" in terminal.written, COLOUR.search(terminal.written)) == (True, None)
    for more in ({"TERM": "dumb"}, {"PYTHONPATH": str(tmp_path)}):
        with on_terminal("ask", MARCH, **upstream(sandbox.url, **more)) as terminal:
            pass
        assert terminal.screen()[0].startswith("I found 12")
        assert "**Weekly Update**" in terminal.written
        assert "\x1b" not in terminal.written


# --- nothing of an answer is lost, and nothing of it moves the cursor


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str, columns: int) -> str:
    """Return what a terminal of this width gets of an answer, without colours."""
    screen = Screen()
    with mock.patch.dict(os.environ, TERM="xterm", COLUMNS=str(columns)), mock.patch.object(sys, "stdout", screen):
        show_answer(text)
    return re.sub(r"\x1b\[[\d;]*m|\r", "", screen.getvalue())


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
def test_no_tag_and_no_address_is_lost(text: str, visible: list[str], columns: int) -> None:
    """The assistant of a CMS answers about tags and with links. By itself, rich drops the tags and cuts the links."""
    screen = shown(text, columns)
    assert max(map(len, screen.split("\n"))) <= columns
    joined = re.sub(r"\s|─", "", screen)  # lines are broken anywhere
    for part in visible:
        assert part.replace(" ", "") in joined
    assert "\x1b" not in screen


def test_of_a_table_that_does_not_fit_every_character_is_shown() -> None:
    cells = [f"{letter * 9}{letter.upper()}" for letter in "abcdef"]
    screen = shown(f"|{'|'.join(cells)}|\n|{'-|' * 6}\n", 40)
    assert [screen.count(letter) for letter in "abcdefABCDEF"] == [9] * 6 + [1] * 6


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Wrap it in <strong>", "<strong>"),
        ("| page |\n|---|\n| [Home](https://a.example) |", "(https://a.example)"),
        ("", "Contit's answer is empty."),
    ],
)
def test_a_real_terminal_shows_tags_and_addresses_and_says_if_an_answer_is_empty(
    answer: str, shown: str, sandbox: Contit
) -> None:
    sandbox.record.add(answers=[ScriptedAnswer(pattern=".*", answer=answer)])
    with on_terminal("ask", "how", "many", "drafts", **upstream(sandbox.url)) as terminal:
        pass
    assert shown in "".join(terminal.screen())


# --- Ctrl-C


def interrupted(
    it: Contit, *options: str, when: Callable[[], object], by: signal.Signals = signal.SIGINT, within: float = 60.0
) -> Ended:
    """Ask with pipes, and send a signal as soon as a condition holds; the command has to end `within` seconds."""
    command, given = [*COMMAND, "ask", *options, DRAFTS], environment(**upstream(it.url))
    with Popen(command, env=given, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            ends = time.monotonic() + 30
            while not when():
                assert time.monotonic() < ends
                time.sleep(0.02)
            time.sleep(0.1)  # it has read the last response
            process.send_signal(by)
            stdout, stderr = process.communicate(timeout=within)
        finally:
            process.kill()
    return Ended(command, process.returncode, stdout, stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_ask_leaves_the_command_that_fetches_its_answer(number: signal.Signals) -> None:
    with contit(SandboxOptions(run_seconds=3)) as it:
        left = interrupted(it, when=lambda: polls(it.record), by=number, within=LEAVES_WITHIN)
        (known,) = it.record.runs
        command = f"contit-mcp ask --thread {known.thread_id} --run {known.run_id}"
        assert left.stderr == f"Interrupted. Contit is still working on it; fetch the answer with:\n  {command}\n"
        assert (left.returncode, left.stdout) == (130, "")
        assert "20 draft items" in run_here(*shlex.split(command)[1:], **upstream(it.url)).stdout
    assert len(it.record.runs) == 1


def test_an_interrupted_ask_is_an_object_in_json_also_while_its_start_is_being_sent() -> None:
    """It waits for the end of the start, so that it can print the ids."""
    with contit(LONG_RUN) as it:
        it.record.add_fault(parse_fault("delay on=start seconds=1"))
        left = interrupted(it, "--json", when=lambda: it.record.runs)
    result = json.loads(left.stdout)
    assert (left.returncode, left.stderr, result["status"]) == (130, "", "in_progress")
    assert result["next_step"].endswith(f"--run {it.record.runs[0].run_id} --json")


def test_interrupted_before_there_is_a_run_it_says_so() -> None:
    with contit(LONG_RUN) as it:
        it.record.add_fault(parse_fault("503 on=start retry_after=30 times=99"))
        left = interrupted(it, when=lambda: it.record.requests)
    assert (left.returncode, left.stderr) == (130, "Interrupted; nothing was started.\n")
    assert it.record.runs == []


def test_on_a_terminal_ctrl_c_erases_the_spinner_and_leaves_the_handle() -> None:
    with contit(LONG_RUN) as it, on_terminal("ask", MARCH, **upstream(it.url)) as terminal:
        terminal.wait_for(lambda: "is working" in terminal.written)
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.returncode == 130
    (known,) = it.record.runs
    assert terminal.screen()[:2] == [
        "Interrupted. Contit is still working on it; fetch the answer with:",
        f"  contit-mcp ask --thread {known.thread_id} --run {known.run_id}",
    ]


def test_the_second_ctrl_c_leaves_at_once() -> None:
    with contit(LONG_RUN) as it:
        it.record.add_fault(parse_fault("delay on=start seconds=20"))
        with on_terminal("ask", MARCH, **upstream(it.url)) as terminal:
            terminal.wait_for(lambda: re.search("0:00:01.*asking Contit", terminal.written))
            terminal.process.send_signal(signal.SIGINT)
            terminal.wait_for(lambda: "leaving (Ctrl-C: at once)" in terminal.written)
            terminal.process.send_signal(signal.SIGINT)
            terminal.process.wait(LEAVES_WITHIN)
    assert terminal.process.returncode == 130
