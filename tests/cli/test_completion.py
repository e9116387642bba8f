"""Shell completion, asked as bash asks, and through bash itself."""

import os
import shutil
import sys
from pathlib import Path

import anyio
import pytest

from tests.cli.command_line import environment, run

pytestmark = pytest.mark.anyio


async def completed(line: str, **more: str) -> list[str]:
    """What bash is told when the last word of the line is completed."""
    words = line.split(" ")
    asked = await run(
        _CONTIT_MCP_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        CONTIT_NONSENSE="x",
        **more,
    )
    assert asked.stderr == ""
    return [row.partition(",")[2] for row in asked.stdout.splitlines() if row]


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("contit-mcp ", ["stdio", "ask", "demo", "check", "sandbox", "completion"]),
        ("contit-mcp sa", ["sandbox"]),
        ("contit-mcp ask --", ["--thread", "--last", "--json", "--sandbox", "--config"]),
        ("contit-mcp ask --log-level W", ["warning"]),
        ("contit-mcp sandbox --fault ", ["failed", "drop-after"]),
        ("contit-mcp completion ", ["bash", "zsh", "fish"]),
    ],
)
async def test_commands_options_and_choices_are_completed(line: str, some: list[str]) -> None:
    found = await completed(line)
    assert set(some) <= set(found), found
    last = line.rpartition(" ")[2]
    assert all(word.lower().startswith(last.lower()) for word in found)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
async def test_bash_completes_after_the_script_is_evaluated(tmp_path: Path) -> None:
    command = tmp_path / "contit-mcp"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m contit_mcp "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    script = """
        eval "$(contit-mcp completion bash)"
        complete -p contit-mcp
        COMP_WORDS=(contit-mcp ask --la) COMP_CWORD=2
        _contit_mcp_completion contit-mcp
        echo "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with anyio.fail_after(30):
        done = await anyio.run_process(["bash", "--norc", "-c", script], env=environment(PATH=path))
    registered, found = done.stdout.decode().splitlines()
    assert registered.endswith("-F _contit_mcp_completion contit-mcp")
    assert found == "--last"
    assert done.stderr == b""


@pytest.mark.parametrize(("shell", "said"), [("zsh", "#compdef contit-mcp"), ("fish", "complete --no-files")])
async def test_other_shells_get_their_own_script(shell: str, said: str) -> None:
    printed = await run("completion", shell)
    assert printed.returncode == 0
    assert said in printed.stdout
    assert f"_CONTIT_MCP_COMPLETE={shell}_complete" in printed.stdout
