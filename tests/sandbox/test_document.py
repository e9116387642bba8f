"""docs/sandbox.md: each of its fragments runs as it is printed."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from contit_mcp.testing import running_sandbox
from tests.cli.command_line import Reader
from tests.rules.tree import ROOT
from tests.sandbox.assistant.oracle import understood

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for a POSIX shell")
pytestmark = [pytest.mark.no_cover, needs_bash]

PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
FRAGMENTS: list[tuple[str, str, str]] = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, mark, text in FRAGMENTS if (language, mark) == ("sh", "") for line in text.splitlines()]
MARKED = {mark: text for _, mark, text in FRAGMENTS if mark}  # by the word behind the language
PYTHON = shlex.quote(sys.executable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the page shows, under the names that it gives them."""
    for mark, text in MARKED.items():
        if mark.startswith("file="):
            path = tmp_path / mark.removeprefix("file=")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return tmp_path


def test_the_commands_of_the_page_work_as_they_are_printed(folder: Path) -> None:
    answers = Reader(folder).types("\necho @@\n".join(COMMANDS)).split("@@\n")
    assert len(answers) == len(COMMANDS)
    assert all(answer.strip() and understood(answer) for answer in answers), answers


def test_the_control_endpoint_serves_a_test_without_python(folder: Path) -> None:
    with running_sandbox() as sandbox:
        printed = Reader(folder, **sandbox.environment).types(MARKED["serve"])
    assert "pong" in printed
    assert printed.count('"status":503,"fault":"503"') == 1
    assert '"endpoint":"start","status":200' in printed
    assert '"prompt":"ping","status":"completed","response":"pong"' in printed


def test_the_test_of_the_page_passes_and_its_program_runs(folder: Path) -> None:
    Reader(folder).types(f"{PYTHON} -m pytest -q -p no:cacheprovider test_agent.py")
    (folder / "program.py").write_text(MARKED["run"], "utf-8")
    assert "18 pages" in Reader(folder).types(f"{PYTHON} program.py")
