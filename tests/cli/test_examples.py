"""The examples that `--help` teaches with work as they are written."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from subprocess import DEVNULL

import anyio
import click
import pytest

from contit_mcp.cli.main import contit_mcp
from contit_mcp.sandbox.options import SandboxOptions
from tests.children import sandbox_on_port
from tests.cli.command_line import command_in, environment, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="they are for a POSIX shell"),
]

COMMANDS = contit_mcp.list_commands(click.Context(contit_mcp))
SAYS_SO = re.compile(rb"answers at|server\.listening")
BEFOREHAND = {"check": ["contit-mcp install claude-desktop --sandbox"]}
"""What the examples of a command take for done."""

SERVES_UNTIL_STOPPED = re.compile(r"contit-mcp (sandbox|http)\b")


def examples(command: str) -> list[str]:
    """The lines of its Examples, without the words beside them."""
    _, loaded, _ = contit_mcp.resolve_command(click.Context(contit_mcp), [command])
    assert loaded is not None
    text = loaded.get_help(click.Context(loaded, info_name=f"contit-mcp {command}", terminal_width=80))
    _, found, rest = text.partition("Examples:\n")
    assert found, f"Give contit-mcp {command} --help an Examples: block."
    return [re.split(r"\s{3,}", line.strip())[0] for line in rest.partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_fits_a_terminal(command: str) -> None:
    lines = examples(command)
    assert lines
    assert all("contit-mcp" in line for line in lines)
    assert max(map(len, lines)) <= 76


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "demo"])
async def test_the_examples_work_as_they_are_written(command: str, tmp_path: Path) -> None:
    command_in(tmp_path)
    state = tmp_path / ".local" / "state" / "contit-mcp"
    state.mkdir(parents=True)
    (state / "api-key").write_text("sandbox-key", encoding="utf-8")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    async with sandbox_on_port(SandboxOptions(run_seconds=0.1)) as (url, _):
        for line in [*BEFOREHAND.get(command, []), *examples(command)]:
            if "| jq" in line and shutil.which("jq") is None:
                continue
            given = environment(**upstream(url, PATH=path, HOME=str(tmp_path)))
            if "CONTIT_API_KEY_FILE=" in line:
                del given["CONTIT_API_KEY"]
            code, said = await _in_bash(line, given, tmp_path)
            assert code == 0, f"{line}: {said}"


async def _in_bash(line: str, given: dict[str, str], folder: Path) -> tuple[int, str]:
    """Exit code and stderr; what serves until it is stopped is stopped when it says that it serves."""
    serves = SERVES_UNTIL_STOPPED.match(line)
    script = f"exec {line}" if serves else f"set -o pipefail; {line}"
    with anyio.fail_after(60):
        async with await anyio.open_process(["bash", "-c", script], stdin=DEVNULL, env=given, cwd=folder) as process:
            said = b""
            assert process.stderr is not None
            async for chunk in process.stderr:
                said += chunk
                if serves and SAYS_SO.search(said):
                    process.send_signal(signal.SIGINT)
            code = await process.wait()
    return (0 if serves and SAYS_SO.search(said) else code), said.decode()
