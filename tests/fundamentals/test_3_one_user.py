"""One person on one machine, with a terminal and hosts: real processes, which keep their runs in a file of the user."""

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import RunningSandbox, running_sandbox
from tests.children import COMMAND, Child, anyio_backend, clean_environment, stdio_child
from tests.fundamentals.conftest import ANSWER, QUESTION

__all__ = ["anyio_backend"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def contit() -> Iterator[RunningSandbox]:
    """A Contit on a port, whose runs take 2 seconds."""
    with running_sandbox(SandboxOptions(run_seconds=2)) as sandbox:
        yield sandbox


@pytest.fixture
def environment(contit: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    """The settings of every process that this user starts."""
    return contit.environment | {"CONTIT_MCP_STATE_DIR": str(tmp_path)}


async def test_a_question_needs_no_account_and_no_host(tmp_path: Path) -> None:
    """`--sandbox` answers from sample content. The answer alone goes to stdout."""
    command = [*COMMAND, "ask", "--sandbox", QUESTION]
    done = await anyio.run_process(command, input=b"", env=clean_environment(HOME=str(tmp_path)))
    assert done.stdout.decode() == f"{ANSWER}\n"


async def test_the_ids_work_after_a_restart(contit: RunningSandbox, environment: dict[str, str]) -> None:
    """The server is killed while a question runs; the next one returns its answer."""
    async with stdio_child(environment) as server:
        await server.initialize()
        started = (await server.call(2, "contit_start", {"prompt": QUESTION}))["structuredContent"]
        server.process.kill()
    async with stdio_child(environment) as server:
        await server.initialize()
        ids = {name: started[name] for name in ("thread_id", "run_id")}
        result = (await server.call(2, "contit_response", ids))["structuredContent"]
    assert result["response"] == ANSWER
    assert len(contit.record.runs) == 1


async def test_past_answers_are_resources_for_every_host_of_the_user(environment: dict[str, str]) -> None:
    async with stdio_child(environment) as server:
        await server.initialize()
        asked = (await server.call(2, "contit_ask", {"prompt": QUESTION}))["structuredContent"]
    async with stdio_child(environment) as server:
        await server.initialize()
        (run,) = json.loads(await read(server, 2, "contit://runs"))["runs"]
        assert (run["title"], run["run_id"]) == (QUESTION, asked["run_id"])
        assert await read(server, 3, run["uri"]) == ANSWER


async def read(server: Child, number: int, uri: str) -> str:
    """Read a resource by the request of this number, and return its text."""
    (content,) = (await server.request(number, "resources/read", {"uri": uri}))["result"]["contents"]
    return str(content["text"])
