"""Nothing of an answer is lost on a terminal: HTML stays text, and every address can be read."""

import os
import re
import sys

import pytest

from contit_mcp.cli.terminal import show_answer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")

LONG = "https://example.com/a/very/long/path/that/is/wider/than/any/terminal/of/eighty/columns/index.html?id=1"


def shown(text: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a terminal of this width shows of an answer, without colours and line ends."""
    import pty  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - likewise

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        show_answer(text)
        stream.flush()
        monkeypatch.undo()
        seen = os.read(leader, 65_536)
    os.close(leader)
    return re.sub(r"\x1b\[[\d;]*m|\r", "", seen.decode())


def joined(text: str) -> str:
    """Return the text without white space and frames, as lines are broken anywhere."""
    return re.sub(r"[\s─━│┃┏┓┗┛]", "", text)


@pytest.mark.parametrize("columns", [120, 80, 40])
@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Wrap it in <strong>, then </strong>.", ["<strong>", "</strong>"]),
        ("the body has <div class=hero> and <br/>", ["<div class=hero>", "<br/>"]),
        ("<div>\n<p>One</p>\n</div>", ["<div>", "<p>One</p>"]),
        ("# About <h1>", ["About <h1>"]),
        ("- use <em>\n- or <b>", ["use <em>", "or <b>"]),
        ("> quoted <q>", ["quoted <q>"]),
        ("**bold <i>** and *it <u>*", ["bold <i>", "it <u>"]),
        ("a comment <!-- hidden --> here", ["<!-- hidden -->"]),
        ("<script>alert(1)</script>", ["<script>alert(1)</script>"]),
        ("<details><summary>More</summary>\n\ntext\n\n</details>", ["<summary>More</summary>", "</details>"]),
        ("`<code>` and &lt;pre&gt;", ["<code>", "<pre>"]),
        ("```html\n<main>\n```", ["<main>"]),
        ("| tag | use |\n|---|---|\n| <nav> | `<a href>` |", ["<nav>", "<a href>"]),
        ("[safe](https://evil.example/x)", ["safe", "https://evil.example/x"]),
        (f"[long]({LONG})", ["long", LONG]),
        (f"| name | page |\n|---|---|\n| one | [Page]({LONG}) |", ["Page", LONG]),
        (f"| page |\n|---|\n| {LONG} |", [LONG]),
        (f"| page |\n|---|\n| <{LONG}> |", [LONG]),
        (f"| [a]({LONG}) | [b](https://b.example/) |\n|---|---|\n| [c](https://c.example/c) | d |", [LONG, "https://b.example/", "https://c.example/c"]),
        ("| cover |\n|---|\n| ![Cover](https://img.example/c.png) |", ["Cover", "https://img.example/c.png"]),
        ("![Cover](https://img.example/c.png)", ["Cover", "https://img.example/c.png"]),
        ("[![Cover](https://img.example/c.png)](https://page.example/)", ["https://img.example/c.png", "https://page.example/"]),
        ("| id |\n|---|\n| `an_id_that_is_wider_than_a_terminal_of_forty_or_even_of_eighty_columns_is_not_cut_short` |", ["an_id_that_is_wider_than_a_terminal_of_forty_or_even_of_eighty_columns_is_not_cut_short"]),
        ("| a | b | c | d | e | f |\n|-|-|-|-|-|-|\n| first_value | second_value | third_value | fourth_value | fifth_value | sixth_value |", ["first_value", "sixth_value"]),
        ("- in a list: [x](https://list.example/p)", ["https://list.example/p"]),
        ("### [Heading](https://head.example/h)", ["Heading", "https://head.example/h"]),
    ],
)  # fmt: skip
def test_no_tag_and_no_address_is_lost(
    text: str, visible: list[str], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assistant of a CMS answers about tags and with links; rich alone would drop the one and cut the other."""
    screen = shown(text, columns, monkeypatch)
    assert max(map(len, screen.split("\n"))) <= columns
    for part in visible:
        assert joined(part) in joined(screen)


def test_a_table_that_fits_stays_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each link has its address beside it."""
    screen = shown("| name | page |\n|---|---|\n| one | [Page](https://p.example/) |", 80, monkeypatch)
    assert "|" not in screen
    assert "Page (https://p.example/)" in screen
