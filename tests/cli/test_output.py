"""Output that cannot be written, words that were mistyped, answers that are given again."""

import json
import socket
from pathlib import Path

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import COMMAND, clean_environment, sandbox_on_port
from tests.cli.command_line import run

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [("check",), ("ask", "--sandbox", "How many drafts are there?"), ("--help",)])
async def test_output_that_cannot_be_written_is_one_error(arguments: tuple[str, ...]) -> None:
    with anyio.fail_after(60):
        with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230 - a device
            done = await anyio.run_process(
                [*COMMAND, *arguments],
                stdout=full,
                env=clean_environment(CONTIT_BASE_URL="http://127.0.0.1:9"),
                check=False,
            )
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "error: The output could not be written: No space left on device." in said
    assert "Traceback" not in said


async def test_a_mistyped_command_is_met_with_the_one_that_was_meant() -> None:
    assert "hint: Did you mean ask?" in (await run("assk", "hello")).stderr
    assert "Did you mean" not in (await run("xyzzy")).stderr


async def test_the_sandbox_says_that_its_port_is_taken_before_it_says_where_it_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = await run("sandbox", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: Port ")
    assert "hint: Choose another one with --port." in refused.stderr
    assert "export" not in refused.stderr


async def test_a_question_asked_again_at_a_terminal_is_asked_again(tmp_path: Path) -> None:
    state = {"CONTIT_MCP_STATE_DIR": str(tmp_path), "CONTIT_API_KEY": "sandbox-key"}
    async with sandbox_on_port(SandboxOptions(run_seconds=4.5)) as (url, sandbox):
        for _ in range(2):
            asked = json.loads((await run("ask", "--json", "How many drafts?", CONTIT_BASE_URL=url, **state)).stdout)
            assert asked["status"] == "completed"
            assert "age_seconds" not in asked
    assert len(sandbox.runs) == 2
