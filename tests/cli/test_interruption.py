"""Ctrl-C and SIGTERM while `contit-mcp ask` waits: the handle stays."""

import json
import shlex
import signal
import sys

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import sandbox_on_port
from tests.cli.command_line import run, started, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to a single process there"),
]

LONG = SandboxOptions(run_seconds=60)
LEAVES_WITHIN = 3.0
"""Seconds, on a slow machine; it is 0.1 s on a quick one."""


async def seen(sandbox: SandboxRecord, endpoint: str) -> None:
    """Wait until the sandbox has had a request of this kind."""
    with anyio.fail_after(30):
        while not any(request.endpoint == endpoint for request in sandbox.requests):
            await anyio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_ask_leaves_the_command_that_fetches_its_answer(number: signal.Signals) -> None:
    async with sandbox_on_port(SandboxOptions(run_seconds=3)) as (url, sandbox):
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            await seen(sandbox, "status")
            asking.process.send_signal(number)
            with anyio.fail_after(LEAVES_WITHIN):
                left = await asking.ended()
        assert left.returncode == 130
        (known,) = sandbox.runs
        command = f"contit-mcp ask --thread {known.thread_id} --run {known.run_id}"
        assert left.stderr == f"Interrupted. Contit is still working on it; fetch the answer with:\n  {command}\n"
        assert left.stdout == ""
        fetched = await run(*shlex.split(command)[1:], **upstream(url))
        assert "20 draft items" in fetched.stdout
    assert len(sandbox.runs) == 1


async def test_an_interrupted_ask_is_an_object_in_json() -> None:
    async with (
        sandbox_on_port(LONG) as (url, sandbox),
        started("ask", "--json", "How many drafts are there?", **upstream(url)) as asking,
    ):
        await seen(sandbox, "status")
        asking.process.send_signal(signal.SIGINT)
        left = await asking.ended()
    result = json.loads(left.stdout)
    assert (left.returncode, left.stderr) == (130, "")
    assert result["status"] == "in_progress"
    assert result["next_step"].endswith(f"--run {sandbox.runs[0].run_id} --json")


async def test_a_start_that_is_being_sent_is_waited_for_and_its_ids_are_told() -> None:
    async with sandbox_on_port(LONG) as (url, sandbox):
        sandbox.add_fault(parse_fault("delay on=start seconds=1"))
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            with anyio.fail_after(30):
                while not sandbox.runs:
                    await anyio.sleep(0.02)
            asking.process.send_signal(signal.SIGINT)
            left = await asking.ended()
    assert left.returncode == 130
    assert f"--run {sandbox.runs[0].run_id}" in left.stderr


async def test_interrupted_before_there_is_a_run_it_says_so() -> None:
    async with sandbox_on_port(LONG) as (url, sandbox):
        sandbox.add_fault(parse_fault("503 on=start retry_after=30 times=99"))
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            await seen(sandbox, "start")
            await anyio.sleep(0.1)
            asking.process.send_signal(signal.SIGINT)
            left = await asking.ended()
    assert (left.returncode, left.stderr) == (130, "Interrupted; nothing was started.\n")
    assert sandbox.runs == []


async def test_the_second_interruption_does_not_wait() -> None:
    async with sandbox_on_port(LONG) as (url, sandbox):
        sandbox.add_fault(parse_fault("delay on=start seconds=10"))
        async with started("ask", "How many drafts are there?", **upstream(url)) as asking:
            with anyio.fail_after(30):
                while not sandbox.runs:
                    await anyio.sleep(0.02)
            asking.process.send_signal(signal.SIGINT)
            await anyio.sleep(0.3)
            asking.process.send_signal(signal.SIGINT)
            with anyio.fail_after(LEAVES_WITHIN):
                left = await asking.ended()
    assert left.returncode == 130
    assert "Traceback" not in left.stderr


async def test_the_sandbox_in_the_process_leaves_no_handle() -> None:
    async with started("ask", "--sandbox", "--log-level", "INFO", "How many drafts are there?") as asking:
        with anyio.fail_after(30):
            while b"run.started" not in asking.stderr:
                await anyio.sleep(0.02)
        asking.process.send_signal(signal.SIGINT)
        left = await asking.ended()
    assert left.returncode == 130
    assert left.stderr.splitlines()[-1] == "Interrupted; the sandbox ended with it."
