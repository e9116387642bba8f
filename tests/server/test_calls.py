"""Round a call: progress, its log line, and faults of our own and of Contit."""

import io
import itertools
import json
import re
from collections.abc import Callable

import anyio
import httpx
import pytest
from mcp import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult

from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import WANTS_PROGRESS, call, connected, in_each_era

pytestmark = pytest.mark.anyio


def lines(logged: io.StringIO, event: str) -> list[dict[str, object]]:
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
    assert all(later[0] - earlier[0] <= 10.001 for earlier, later in itertools.pairwise(heard))
    values = [progress for _, progress, _ in heard]
    assert values == sorted(set(values))


@in_each_era
async def test_progress_does_not_slow_the_wait(era: str, logged: io.StringIO) -> None:
    """A caller that is slow to take a message, or fails at it, gets its answer all the same; the failure is logged."""

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
    failures = lines(logged, "progress.not_sent")
    assert len(failures) == (era == "modern"), "in the older era the function is called at the client's end"
    assert all("ValueError" in str(line["error"]) for line in failures)


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
    contit = EchoContit(end_words={"bad": "failed"}, durations={"long": 1_000})
    async with connected(contit) as (client, _):
        for prompt in ("bad", "", "long"):
            await call(client, "contit_ask", {"prompt": prompt})
    outcomes = [line["outcome"] for line in lines(logged, "call.finished")]
    assert outcomes == ["RunFailedError", "InvalidArgumentError", "in_progress"]


@in_each_era
async def test_a_fault_of_our_own_tells_nobody_its_text_and_keeps_the_handle(era: str, logged: io.StringIO) -> None:
    """The text of an unexpected exception can hold anything. No other error that knows no run loses it either."""
    contit = EchoContit(seconds=30)
    async with connected(contit, era=era) as (client, _):
        for endpoint, status in (("start", "failed"), ("status", "in_progress")):
            contit.instead(endpoint, KeyError("SECRET-MARKER"))
            structure, texts, is_error = await call(client, "contit_ask", {"prompt": "PROMPT-MARKER"})
            assert (structure["status"], is_error) == (status, True)
            assert "bug" in structure["error"]
            assert "MARKER" not in json.dumps([structure, texts])
        assert "Then call contit_response with this thread_id and run_id" in structure["next_step"]
        assert 'run_id="run_2"' in texts[0]
        contit.instead("status", *[httpx.Response(503)] * 9)
        structure, _, is_error = await call(client, "contit_status", IDS)
        assert (structure["status"], structure["run_id"], is_error) == ("in_progress", "run_2", True)
    assert len(lines(logged, "call.crashed")) == 2
    assert "KeyError" in logged.getvalue()
    assert "MARKER" not in logged.getvalue()


async def test_a_context_that_is_closed_before_its_first_call_starts_nothing() -> None:
    """The assistant is opened late, and closed all the same."""
    contit = EchoContit()
    async with connected(contit) as (client, context):
        context.close()
        structure, _, is_error = await call(client, "contit_ask", {"prompt": "q"})
    assert ("shutting down" in structure["error"], is_error) == (True, True)
    assert contit.requests == []


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


# --- faults of Contit: each tool returns the right result or one clear error with a next step

Reply = Callable[[], httpx.Response | Exception]

IDS = {"thread_id": "thread_1", "run_id": "run_2"}
PASSING: dict[str, Reply] = {
    "429 seconds": lambda: httpx.Response(429, headers={"Retry-After": "1"}),
    "429 date": lambda: httpx.Response(429, headers={"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    "500": lambda: httpx.Response(500, json={"detail": "ECHO-MARKER"}),
    "503": lambda: httpx.Response(503, text="ECHO-MARKER"),
    "dropped before": lambda: httpx.ConnectError("ECHO-MARKER"),
    "dropped after": lambda: httpx.ReadError("ECHO-MARKER"),
    "HTML": lambda: httpx.Response(200, html="<html>ECHO-MARKER</html>"),
    "empty": lambda: httpx.Response(200),
    "broken JSON": lambda: httpx.Response(200, text='{"status": "ECHO-MARKER'),
    "missing fields": lambda: httpx.Response(200, json={"other": "ECHO-MARKER"}),
}
LASTING: dict[str, Reply] = {
    "401": lambda: httpx.Response(401, text="ECHO-MARKER"),
    "403": lambda: httpx.Response(403, text="ECHO-MARKER"),
    "redirect": lambda: httpx.Response(302, headers={"Location": "https://elsewhere.example/?q=ECHO-MARKER"}),
}
REPEATED_STARTS = {"429 seconds", "429 date", "503", "dropped before"}


def assert_clear(structure: dict[str, object], texts: list[str], logged: io.StringIO) -> None:
    """One line each for what happened and what to do, and nothing of upstream's or the caller's words."""
    for part in (str(structure["error"]), str(structure["next_step"])):
        assert "\n" not in part
        assert part in texts[0]
    assert "MARKER" not in json.dumps([structure, texts]) + logged.getvalue()


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
async def test_a_fault_at_the_start(name: str, logged: io.StringIO) -> None:
    """Repeated only where nothing can have been accepted; otherwise one error."""
    repeated = name in REPEATED_STARTS
    for tool in ("contit_ask", "contit_start"):
        contit = EchoContit(seconds=1)
        contit.instead("start", (PASSING | LASTING)[name]())
        async with connected(contit) as (client, _):
            structure, texts, is_error = await call(client, tool, {"prompt": "PROMPT-MARKER"})
        assert (contit.count("start"), is_error) == (1 + repeated, not repeated)
        if is_error:
            assert_clear(structure, texts, logged)
            assert structure["status"] == "failed"


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_after_the_start_is_not_noticed(name: str, logged: io.StringIO) -> None:
    """At the status and at the response."""
    for endpoint in ("status", "response"):
        contit = EchoContit(seconds=1)
        contit.instead(endpoint, PASSING[name]())
        async with connected(contit) as (client, _):
            structure, _, is_error = await call(client, "contit_ask", {"prompt": "q"})
            assert (structure["response"], is_error) == (answer_to("q"), False)
            contit.instead(endpoint, PASSING[name]())
            structure, _, _ = await call(client, "contit_response", IDS)
            assert structure["response"] == answer_to("q")
    assert "MARKER" not in logged.getvalue()


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
async def test_a_fault_that_does_not_pass_in_time_keeps_the_handle(name: str, logged: io.StringIO) -> None:
    """As after the wait, if it may pass; else, and for `contit_status`, as an error with the ids in text and structure."""
    contit = EchoContit(seconds=1)
    contit.instead("status", *[(PASSING | LASTING)[name]() for _ in range(500)])
    async with connected(contit) as (client, _):
        for tool in ("contit_ask", "contit_response", "contit_status"):
            structure, texts, is_error = await call(client, tool, {"prompt": "q"} if tool == "contit_ask" else IDS)
            assert (structure["status"], structure["run_id"]) == ("in_progress", "run_2")
            assert is_error == (name in LASTING or tool == "contit_status")
            if is_error:
                assert_clear(structure, texts, logged)
                assert "run_2" in texts[0]


@pytest.mark.parametrize("body", [b'{"response": null}', b"<html>Welcome</html>", b"{}", b'{"response": 12}'])
async def test_an_answer_that_cannot_be_read_is_an_error_and_comes_once_it_can(body: bytes) -> None:
    """Not "still running, do not ask again" for ever."""
    contit = EchoContit()
    contit.instead("response", *[httpx.Response(200, content=body)] * 200)
    async with connected(contit) as (client, _):
        structure, texts, _ = await call(client, "contit_ask", {"prompt": "q"})
        assert "cannot be read" in texts[0]
        for tool in ("contit_response", "contit_status"):
            again, _, is_error = await call(client, tool, IDS)
            assert (again["status"], again["error"], is_error) == ("failed", structure["error"], True)
        contit.replies.clear()
        structure, _, is_error = await call(client, "contit_response", IDS)
    assert (structure["response"], is_error) == (answer_to("q"), False)
