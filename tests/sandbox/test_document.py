"""docs/sandbox.md: each of its fragments runs as it is printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from contit_mcp.testing import running_sandbox
from tests.children import clean_environment
from tests.sandbox.assistant.oracle import understood

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
FRAGMENTS = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, how, text in FRAGMENTS if (kind, how) == ("sh", "") for line in text.splitlines()]


def _only(kind: str, how: str) -> str:
    fragment: str
    (fragment,) = (text for found, way, text in FRAGMENTS if (found, way) == (kind, how))
    return fragment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the page shows, under the names that it gives them."""
    for _, how, text in FRAGMENTS:
        if how.startswith("file="):
            path = tmp_path / how.removeprefix("file=")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return tmp_path


def _shell(command: str, folder: Path, **environment: str) -> str:
    """Run a line of the page, with the command of this checkout in front of all others."""
    binary = folder / "bin" / "contit-mcp"
    binary.parent.mkdir(exist_ok=True)
    binary.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m contit_mcp "$@"\n', "utf-8")
    binary.chmod(0o755)
    env = clean_environment(PATH=f"{binary.parent}:{os.environ['PATH']}", **environment)
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_page_work_as_they_are_printed(folder: Path) -> None:
    answers = _shell("\necho @@\n".join(COMMANDS), folder).split("@@\n")
    assert len(answers) == len(COMMANDS)
    assert all(answer.strip() and understood(answer) for answer in answers), answers


def test_the_control_endpoint_serves_a_test_without_python(folder: Path) -> None:
    with running_sandbox() as sandbox:
        printed = _shell(_only("sh", "serve"), folder, **sandbox.environment)
    assert "pong" in printed
    assert printed.count('"status":503,"fault":"503"') == 1
    assert '"endpoint":"start","status":200' in printed
    assert '"prompt":"ping","status":"completed","response":"pong"' in printed


def test_the_test_of_the_page_passes(folder: Path) -> None:
    _shell(f"{shlex.quote(sys.executable)} -m pytest -q -p no:cacheprovider test_agent.py", folder)


def test_the_program_of_the_page_runs(folder: Path) -> None:
    (folder / "program.py").write_text(_only("python", "run"), "utf-8")
    assert "18 pages" in _shell(f"{shlex.quote(sys.executable)} program.py", folder, PYTHONPATH=str(PAGE.parents[1]))
