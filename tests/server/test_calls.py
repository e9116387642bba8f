"""What accompanies a call: progress, its log line, and the errors for faults of our own and of Contit."""

import io
import itertools
import json
import re

import anyio
import httpx
import pytest
from mcp import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult

from tests.echo_contit import EchoContit, Reply, Script, answer_to
from tests.server.stage import WANTS_PROGRESS, call, connected, in_each_era, lines

pytestmark = pytest.mark.anyio


@in_each_era
async def test_progress_comes_at_once_on_changes_and_every_ten_seconds_in_words_for_people(era: str) -> None:
    """Without progress, hosts would give up the call."""
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
    failures = lines(logged, "progress callback raised")  # the SDK catches the exception and logs it
    assert {str(line["error"]).split()[0] for line in failures} == {"ValueError"}


@in_each_era
async def test_each_call_logs_one_line_with_names_and_numbers_of_its_own(era: str, logged: io.StringIO) -> None:
    """Two calls at once are counted separately. No line has a prompt, a dropped argument or the credential."""
    contit = EchoContit(durations={"MARKER bad": 9}, end_words={"MARKER bad": "failed"})
    async with connected(contit, era=era, host="some-host") as (client, _), anyio.create_task_group() as tasks:
        for prompt in ("MARKER good", "MARKER bad"):
            arguments = {"prompt": prompt, "task_progress": "MARKER", "json": {"a": 1}}
            tasks.start_soon(call, client, "contit_ask", arguments)
    good, bad = lines(logged, "call.finished")
    for line, run in zip((good, bad), contit.runs, strict=True):
        assert (line["tool"], line["host"], line["host_version"]) == ("contit_ask", "some-host", "1.2.3")
        assert (line["thread_id"], line["run_id"]) == (run.thread_id, run.run_id)
        assert (line["retries"], line["dropped_arguments"]) == (0, 2)
        assert isinstance(line["seconds"], float)
        assert line["owner"]
        assert line["request_id"]
    assert (good["outcome"], bad["outcome"]) == ("completed", "RunFailedError")
    assert (good["requests"], bad["requests"]) == (good["polls"] + 2, bad["polls"] + 1)
    assert good["requests"] + bad["requests"] == len(contit.requests)
    assert not re.search("MARKER|sandbox-key", logged.getvalue())


@in_each_era
async def test_an_unexpected_exception_is_an_error_with_ids_and_without_its_text(era: str, logged: io.StringIO) -> None:
    """The text could contain anything. An error of Contit after the start has the ids as well."""
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


async def test_a_server_that_closes_before_its_first_call_starts_nothing() -> None:
    """The assistant is made by that call, after the server was closed."""
    contit = EchoContit()
    async with connected(contit) as (client, context):
        context.close()
        structure, _, is_error = await call(client, "contit_ask", {"prompt": "q"})
    assert ("shutting down" in structure["error"], is_error) == (True, True)
    assert contit.requests == []


@in_each_era
async def test_an_unknown_prompt_or_resource_is_an_error_of_the_caller(era: str, logged: io.StringIO) -> None:
    """Invalid params (documented: MCP, prompts and resources), and no error in the log."""
    async with connected(EchoContit(), era=era) as (client, _):
        for ask, name in ((client.get_prompt, "no-such-prompt"), (client.read_resource, "test://no-such-resource")):
            with pytest.raises(MCPError) as refused:
                await ask(name)
            assert refused.value.error.code == INVALID_PARAMS
    assert '"error"' not in logged.getvalue()


# --- faults of Contit: each tool returns the right result or one clear error with a next step

IDS = {"thread_id": "thread_1", "run_id": "run_2"}
PASSING: dict[str, Script] = {
    "429": Reply(429, headers={"Retry-After": "1"}),
    "500": Reply(500, {"detail": "ECHO-MARKER"}),
    "503": Reply(503, "ECHO-MARKER"),
    "dropped before": httpx.ConnectError("ECHO-MARKER"),
    "dropped after": httpx.ReadError("ECHO-MARKER"),
    "HTML": Reply(200, "<html>ECHO-MARKER</html>"),
}
LASTING: dict[str, Script] = {
    "401": Reply(401, "ECHO-MARKER"),
    "403": Reply(403, "ECHO-MARKER"),
    "redirect": Reply(302, headers={"Location": "https://elsewhere.example/?q=ECHO-MARKER"}),
}


def assert_clear(structure: dict[str, object], texts: list[str], logged: io.StringIO) -> None:
    """Check that there is one line for what happened, one for what to do, and no text of Contit or the caller."""
    for part in (str(structure["error"]), str(structure["next_step"])):
        assert "\n" not in part
        assert part in texts[0]
    assert "MARKER" not in json.dumps([structure, texts]) + logged.getvalue()


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
async def test_a_start_that_met_a_fault_is_repeated_or_is_one_error(name: str, logged: io.StringIO) -> None:
    """It is repeated only if Contit cannot have accepted it."""
    repeated = name in {"429", "503", "dropped before"}
    for tool in ("contit_ask", "contit_start"):
        contit = EchoContit(seconds=1)
        contit.instead("start", (PASSING | LASTING)[name])
        async with connected(contit) as (client, _):
            structure, texts, is_error = await call(client, tool, {"prompt": "PROMPT-MARKER"})
        assert (contit.count("start"), is_error) == (1 + repeated, not repeated)
        if is_error:
            assert_clear(structure, texts, logged)
            assert structure["status"] == "failed"


@pytest.mark.parametrize("fault", [*PASSING.values(), Reply(404)], ids=[*PASSING, "404"])
async def test_a_passing_fault_after_the_start_costs_no_answer(fault: Script, logged: io.StringIO) -> None:
    """A 404 right after the start or the end may be replication lag."""
    for endpoint in ("status", "response"):
        contit = EchoContit(seconds=1)
        contit.instead(endpoint, fault)
        async with connected(contit) as (client, _):
            structure, _, is_error = await call(client, "contit_ask", {"prompt": "q"})
            assert (structure["response"], is_error) == (answer_to("q"), False)
            contit.instead(endpoint, fault)
            structure, _, _ = await call(client, "contit_response", IDS)
            assert structure["response"] == answer_to("q")
    assert "MARKER" not in logged.getvalue()


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
async def test_a_lasting_fault_after_the_start_returns_the_ids(name: str, logged: io.StringIO) -> None:
    """They are in a result `in_progress` if the fault may pass; otherwise, and always from `contit_status`, in an error."""
    contit = EchoContit(seconds=1)
    contit.instead("status", *[(PASSING | LASTING)[name]] * 500)
    async with connected(contit) as (client, _):
        for tool in ("contit_ask", "contit_response", "contit_status"):
            structure, texts, is_error = await call(client, tool, {"prompt": "q"} if tool == "contit_ask" else IDS)
            assert (structure["status"], structure["run_id"]) == ("in_progress", "run_2")
            assert is_error == (name in LASTING or tool == "contit_status")
            if is_error:
                assert_clear(structure, texts, logged)
                assert "run_2" in texts[0]


@pytest.mark.parametrize(
    "body",
    ['{"response": null}', "<html>", "", "{}", "[]", "null", '"x"', '{"response": 7}', '{"response": ["x"]}', "[" * 5_000,
     '{"answer": "x"}', '{"response": "x', b"\xff\xfe", '[{"response": "x"}]', '{"response": {}}', '{"response": true}'],
)  # fmt: skip
async def test_an_unreadable_answer_is_an_error_of_all_calls_until_it_is_readable(body: str | bytes) -> None:
    contit = EchoContit()
    contit.instead("response", *[httpx.Response(200, content=body)] * 200)
    async with connected(contit) as (client, _):
        structure, texts, _ = await call(client, "contit_ask", {"prompt": "q"})
        assert "not in the documented form" in texts[0]
        for tool in ("contit_response", "contit_status"):
            again, _, is_error = await call(client, tool, IDS)
            assert (again["status"], again["error"], is_error) == ("failed", structure["error"], True)
        contit.replies.clear()
        structure, _, is_error = await call(client, "contit_response", IDS)
    assert (structure["response"], is_error) == (answer_to("q"), False)
