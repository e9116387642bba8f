"""Round a call: progress, cancellation, its log line, and faults of our own."""

import io
import itertools
import json
import re

import anyio
import httpx
import pytest
from mcp import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult

from tests.echo_contit import EchoContit
from tests.server.stage import WANTS_PROGRESS, call, connected, in_each_era

pytestmark = pytest.mark.anyio


def lines(logged: io.StringIO, event: str) -> list[dict[str, object]]:
    """The log lines of one event."""
    return [line for line in map(json.loads, logged.getvalue().splitlines()) if line["event"] == event]


@in_each_era
async def test_progress_comes_at_once_on_changes_and_every_ten_seconds_in_words_for_people(era: str) -> None:
    """So that no host takes the call for dead."""
    contit = EchoContit(seconds=100, latency=0.2)
    heard: list[tuple[float, float, str]] = []
    began = anyio.current_time()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append((anyio.current_time() - began, progress, message or ""))

    async with connected(contit, era=era, host="claude-code") as (client, _):
        await client.call_tool("contit_ask", {"prompt": "q"}, progress_callback=note, meta=WANTS_PROGRESS)
    assert heard[0][0] < 0.1
    assert heard[1][2].startswith("Contit is working on it")
    assert heard[1][0] < 1
    assert not any("thread_1" in text or "run_2" in text for _, _, text in heard)
    times = [time for time, _, _ in heard]
    assert all(later - earlier <= 10.001 for earlier, later in itertools.pairwise(times))
    values = [progress for _, progress, _ in heard]
    assert values == sorted(set(values))


@in_each_era
async def test_progress_does_not_slow_the_wait(era: str) -> None:
    """A caller that is slow to take a message, or fails at it, gets its answer all the same."""

    async def slow(progress: float, total: float | None, message: str | None) -> None:
        await anyio.sleep(60)

    async def failing(progress: float, total: float | None, message: str | None) -> None:
        raise ValueError

    async with connected(EchoContit(seconds=3), era=era) as (client, _):
        for number, heard in enumerate((slow, failing)):
            began = anyio.current_time()
            arguments = {"prompt": f"q{number}"}
            result = await client.call_tool("contit_ask", arguments, progress_callback=heard, meta=WANTS_PROGRESS)
            assert isinstance(result, CallToolResult)
            assert not result.is_error
            assert anyio.current_time() - began < 5


@in_each_era
async def test_a_cancelled_call_is_one_line_and_its_run_goes_on(era: str, logged: io.StringIO) -> None:
    """Polling stops, nothing is left in flight, and the handle stays valid."""
    contit = EchoContit(seconds=60)
    async with connected(contit, era=era, host="claude-code") as (client, context):
        with anyio.move_on_after(5):
            await call(client, "contit_ask", {"prompt": "q"})
        await anyio.sleep(0.1)
        polls = contit.count("status")
        assert context.calls_in_flight == 0
        await anyio.sleep(30)
        assert contit.count("status") == polls
        structure, _, _ = await call(client, "contit_response", {"thread_id": "thread_1", "run_id": "run_2"})
        assert structure["status"] == "completed"
    finished = [(line["outcome"], line["run_id"]) for line in lines(logged, "call.finished")]
    assert finished == [("cancelled", "run_2"), ("completed", "run_2")]


@in_each_era
async def test_each_call_is_one_line_with_what_an_operator_asks(era: str, logged: io.StringIO) -> None:
    """Names and numbers, no content."""
    contit = EchoContit()
    async with connected(contit, era=era, host="some-host") as (client, _):
        await call(client, "contit_ask", {"prompt": "PROMPT-MARKER", "task_progress": "MARKER", "json": {"a": 1}})
    (line,) = lines(logged, "call.finished")
    assert (line["tool"], line["host"], line["host_version"]) == ("contit_ask", "some-host", "1.2.3")
    assert (line["thread_id"], line["run_id"], line["outcome"]) == ("thread_1", "run_2", "completed")
    assert (line["requests"], line["retries"], line["dropped_arguments"]) == (len(contit.requests), 0, 2)
    assert line["polls"] in range(3, 6)
    assert isinstance(line["seconds"], float)
    assert line["owner"]
    assert line["request_id"]
    assert not re.search("MARKER|sandbox-key", logged.getvalue())


async def test_the_outcome_is_one_word(logged: io.StringIO) -> None:
    """To count by."""
    contit = EchoContit(end_words={"bad": "failed"}, durations={"long": 1_000})
    async with connected(contit) as (client, _):
        for prompt in ("bad", "", "long"):
            await call(client, "contit_ask", {"prompt": prompt})
    outcomes = [line["outcome"] for line in lines(logged, "call.finished")]
    assert outcomes == ["RunFailedError", "InvalidArgumentError", "in_progress"]


@in_each_era
async def test_a_fault_of_our_own_tells_nobody_its_text(era: str, logged: io.StringIO) -> None:
    """The text of an unexpected exception can hold anything."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise KeyError(f"SECRET-MARKER {(await request.aread()).decode()}")

    async with connected(Broken(), era=era) as (client, _):
        structure, texts, is_error = await call(client, "contit_ask", {"prompt": "PROMPT-MARKER"})
        assert is_error
        assert "bug" in structure["error"]
        assert "MARKER" not in json.dumps([structure, texts])
    assert lines(logged, "call.crashed")
    assert "KeyError" in logged.getvalue()
    assert "MARKER" not in logged.getvalue()


async def test_a_fault_of_our_own_after_the_start_keeps_the_handle() -> None:
    """Nor does any other error that knows no run lose it."""
    contit = EchoContit(seconds=30)
    contit.instead("status", KeyError("x"))
    async with connected(contit) as (client, _):
        structure, texts, is_error = await call(client, "contit_ask", {"prompt": "q"})
        assert (structure["status"], structure["run_id"], is_error) == ("in_progress", "run_2", True)
        assert "Then call contit_response with this thread_id and run_id" in structure["next_step"]
        assert 'run_id="run_2"' in texts[0]
        contit.instead("status", *[httpx.Response(503)] * 9)
        structure, _, is_error = await call(client, "contit_status", {"thread_id": "thread_1", "run_id": "run_2"})
        assert (structure["status"], structure["run_id"], is_error) == ("in_progress", "run_2", True)


async def test_closing_the_context_returns_handles_and_starts_nothing_more() -> None:
    """A server that stops loses no run, also if it stops before its first call."""
    contit = EchoContit(seconds=100)
    results: list[dict[str, object]] = []
    async with connected(contit) as (client, context), connected(contit) as (unused, early):
        early.close()

        async def ask() -> None:
            results.append((await call(client, "contit_ask", {"prompt": "q"}))[0])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(2)
            context.close()
            for closed in (client, unused):
                structure, _, is_error = await call(closed, "contit_ask", {"prompt": "two"})
                assert is_error
                assert "shutting down" in structure["error"]
    assert [result["status"] for result in results] == ["in_progress"]
    assert contit.count("start") == 1


@in_each_era
async def test_an_unknown_prompt_or_resource_is_the_caller_s_mistake_not_a_fault_of_ours(
    era: str, logged: io.StringIO
) -> None:
    """Invalid params (documented: MCP, prompts and resources), and no line for the one who is on call."""
    async with connected(EchoContit(), era=era) as (client, _):
        for ask, name in ((client.get_prompt, "no-such-prompt"), (client.read_resource, "test://no-such-resource")):
            with pytest.raises(MCPError) as refused:
                await ask(name)
            assert refused.value.error.code == INVALID_PARAMS
    assert '"error"' not in logged.getvalue()
