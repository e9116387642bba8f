"""One person with a terminal and a host on one machine: real processes."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import running_sandbox
from tests.children import COMMAND, anyio_backend, clean_environment, stdio_child

__all__ = ["anyio_backend"]
pytestmark = pytest.mark.anyio
QUESTION = {"prompt": "How many drafts are there?"}


async def contit_mcp(home: Path, *arguments: str, **more: str) -> "CompletedProcess[str]":
    """Run a command to its end, with this home folder."""
    environment = clean_environment(HOME=str(home), CONTIT_MCP_STATE_DIR=str(home / "state"), **more)
    done = await anyio.run_process([*COMMAND, *arguments], input=b"", env=environment, check=False)
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_a_question_needs_no_account_and_no_host(tmp_path: Path) -> None:
    """The answer alone goes to stdout."""
    done = await contit_mcp(tmp_path, "ask", "--sandbox", "How many drafts are there?")
    assert done.stdout == "There are 20 draft items: 12 articles, 5 products and 3 pages.\n"


async def test_ids_work_after_a_restart(tmp_path: Path) -> None:
    """The server is killed in the middle of a question; the next one returns its answer."""
    with running_sandbox(SandboxOptions(run_seconds=2)) as sandbox:
        environment = sandbox.environment | {"CONTIT_MCP_STATE_DIR": str(tmp_path)}
        async with stdio_child(environment) as child:
            await child.initialize()
            started = (await child.call(2, "contit_start", QUESTION))["structuredContent"]
            child.process.kill()
        async with stdio_child(environment) as child:
            await child.initialize()
            ids = {name: started[name] for name in ("thread_id", "run_id")}
            result = (await child.call(2, "contit_response", ids))["structuredContent"]
        assert len(sandbox.record.runs) == 1
    assert result["response"].startswith("There are 20 draft items")


async def test_past_answers_are_resources(tmp_path: Path) -> None:
    """Every host of the same user can read them."""
    with running_sandbox(SandboxOptions(run_seconds=0)) as sandbox:
        environment = sandbox.environment | {"CONTIT_MCP_STATE_DIR": str(tmp_path)}
        async with stdio_child(environment) as child:
            await child.initialize()
            await child.call(2, "contit_ask", QUESTION)
            listed = await child.request(3, "resources/read", {"uri": "contit://runs"})
    (content,) = listed["result"]["contents"]
    assert "How many drafts are there?" in content["text"]
    assert json.loads(content["text"])
