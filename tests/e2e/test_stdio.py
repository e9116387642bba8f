"""`contit-mcp stdio` as a host meets it: a real child process against a sandbox on a real port."""

import signal

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contit_mcp.sandbox.options import SandboxOptions, ScriptedAnswer, parse_fault
from tests import children
from tests.children import COMMAND, QUESTION, Child, clean_environment, piped, runs, sandbox_on_port, stdio_child
from tests.cli.command_line import upstream

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

ENDINGS = {"EOF": None, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}


async def ends(child: Child, by: str) -> None:
    """End the child, and check that it exits with code 0 within the 2 s that are promised."""
    began = anyio.current_time()
    assert await child.end(by=ENDINGS[by]) == 0
    assert anyio.current_time() - began < 2.0


async def send_ask(child: Child, number: int, prompt: str = QUESTION) -> None:
    call = {"name": "contit_ask", "arguments": {"prompt": prompt}}
    await child.send({"id": number, "method": "tools/call", "params": call})


@pytest.mark.parametrize("on", ["start", "status", "response"])
async def test_no_secret_prompt_or_answer_is_written_anywhere_but_in_the_result(on: str) -> None:
    """The log is at DEBUG. Faults of many kinds are injected. stdout has JSON-RPC messages alone."""
    key = "KEY-MARKER-4711"
    given = {"CONTIT_API_KEY": key, "CONTIT_MCP_LOG_LEVEL": "DEBUG"}
    kinds = (
        "403", "404", "429", "500", "503", "redirect", "html", "html-error", "empty", "malformed", "missing-field",
        "drop-before", "drop-after",
    )  # fmt: skip
    options = SandboxOptions(run_seconds=0.1, api_keys=frozenset({key}))
    with anyio.fail_after(90):
        async with sandbox_on_port(options) as (url, sandbox), stdio_child(upstream(url, **given)) as child:
            await child.initialize()
            for number, kind in enumerate(kinds, start=10):
                sandbox.clear_faults()
                sandbox.add_fault(parse_fault(f"{kind} on={on} times=1"))
                await child.call(number, "contit_ask", {"prompt": f"PROMPT-MARKER {number}", "wait_seconds": 2})
            assert await child.end() == 0
            assert child.stdout.endswith(b"\n")
            assert all(message["jsonrpc"] == "2.0" for message in child.messages)
            written = child.stderr.decode()
            assert '"level": "debug"' in written
            assert "MARKER" not in written
            assert not any(run.turn.answer[:40] in written for run in sandbox.runs)
            assert not any(marker in child.stdout for marker in (key.encode(), b"PROMPT-MARKER"))


async def test_prompts_and_answers_are_utf_8_whatever_the_locale_of_the_host() -> None:
    with anyio.fail_after(30):
        async with sandbox_on_port() as (url, sandbox), stdio_child(upstream(url, LC_ALL="C", LANG="C")) as child:
            await child.initialize()
            prompt = "Quali articoli sono già in bozza? è ü 日本 🏴"
            result = await child.call(2, "contit_ask", {"prompt": prompt})
            (run,) = sandbox.runs
            assert run.prompt == prompt
            assert result["structuredContent"]["response"] == result["content"][0]["text"] == run.turn.answer
            assert not run.turn.answer.isascii()


async def test_without_a_credential_it_starts_and_each_call_says_what_to_set() -> None:
    """Hosts show errors of tools, but not why a server did not start. Without a command, `stdio` is meant."""
    with anyio.fail_after(30):
        async with piped(Child, COMMAND, clean_environment()) as child:
            await child.initialize()
            assert len((await child.request(2, "tools/list", {}))["result"]["tools"]) == 4
            result = await child.call(3, "contit_ask", {"prompt": "q"})
            assert result["isError"] is True
            assert "CONTIT_API_KEY" in result["content"][0]["text"]
            assert await child.end() == 0


async def test_the_embedded_sandbox_answers_whatever_is_configured() -> None:
    """It needs no credential and logs none. With --probe there is a fifth tool, which waits."""
    odd = {"CONTIT_API_KEY": "REAL-KEY-MARKER", "CONTIT_CLIENT_ID": "x"}
    with anyio.fail_after(30):
        async with stdio_child(odd, "stdio", "--sandbox", "--probe") as child:
            await child.initialize()
            result = await child.call(2, "contit_ask", {"prompt": QUESTION})
            assert "20 draft items" in result["content"][0]["text"]
            tools = (await child.request(3, "tools/list", {}))["result"]["tools"]
            assert [tool["name"] for tool in tools][4:] == ["contit_probe"]
            measured = (await child.call(4, "contit_probe", {"seconds": 0.1}))["structuredContent"]
            assert (measured["waited_seconds"] >= 0.1, measured["host"]) == (True, "test-host")
            assert await child.end() == 0
            assert b"MARKER" not in child.stderr


async def test_a_call_as_hosts_and_models_write_it_gets_an_answer_without_hidden_characters() -> None:
    """Hosts add keys of their own. Models put something around an id."""
    added = {"wait_for_previous": True, "task_progress": "- [ ] ask", "chatInput": "x", "json": {"id": 7}}
    with anyio.fail_after(30):
        async with sandbox_on_port() as (url, sandbox), stdio_child(upstream(url)) as child:
            sandbox.add(answers=[ScriptedAnswer(prompt="Any?", answer="a\u115fb\u1160 c\ufe01d")])
            await child.initialize()
            result = await child.call(2, "contit_ask", {"prompt": "Any?", "threadId": "None", **added})
            thread_id = result["structuredContent"]["thread_id"]
            for number, written in enumerate(("{}.", '"{}"', "`{}`", "thread_id={}"), start=3):
                assert result["structuredContent"]["response"] == result["content"][0]["text"] == "ab cd"
                result = await child.call(number, "contit_response", {"threadId": written.format(thread_id), **added})
            assert child.stderr.count(b'"dropped_arguments": 4') == 5
            assert 'has "promt": pass its value as prompt' in str(await child.call(8, "contit_ask", {"promt": "Any?"}))
            made_up = {"thread_id": "made-up", "run_id": "made-up"}
            assert "made-up" not in str(await child.call(9, "contit_response", made_up))


@pytest.mark.parametrize("answer", ['{"response": null}', "<html>Welcome</html>"])
async def test_a_completed_run_whose_answer_cannot_be_read_is_an_error_of_every_tool(answer: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bodies = {"thread": '{"threadId": "t", "runId": "r"}', "status": '{"status": "completed"}', "response": answer}
        await Response(bodies[scope["path"].rpartition("/")[2]])(scope, receive, send)

    with anyio.fail_after(60):
        async with children.on_port(app) as url, stdio_child(upstream(url)) as child:
            await child.initialize()
            for number, tool in enumerate(("contit_ask", "contit_response", "contit_status"), start=2):
                result = await child.call(number, tool, {"prompt": "q", "thread_id": "t", "run_id": "r"})
                assert (result["isError"], "not in the documented form" in str(result)) == (True, True)


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_sdks_client_asks_in_both_eras(era: str) -> None:
    """Up to 2025-11-25 by handshake, 2026-07-28 without."""
    arguments = [*COMMAND[1:], "stdio", "--sandbox"]
    child = StdioServerParameters(command=COMMAND[0], args=arguments, env=clean_environment())
    with anyio.fail_after(60):
        async with Client(stdio_client(child), mode=era) as client:
            assert client.protocol_version == ("2026-07-28" if era == "auto" else "2025-11-25")
            result = await client.call_tool("contit_ask", {"prompt": QUESTION})
            assert isinstance(result, CallToolResult)
            assert "20 draft items" in str(result.structured_content)


@pytest.mark.parametrize("by", ["SIGTERM", "SIGINT"])
async def test_a_signal_returns_the_ids_of_every_call(by: str) -> None:
    long_run = SandboxOptions(run_seconds=60)
    with anyio.fail_after(30):
        async with sandbox_on_port(long_run) as (url, sandbox), stdio_child(upstream(url)) as child:
            await child.initialize()
            for number in range(10, 15):
                await send_ask(child, number, f"Question {number}")
            await runs(sandbox, 5)
            await anyio.sleep(0.2)
            await ends(child, by)
            results = [(await child.answer(number))["result"]["structuredContent"] for number in range(10, 15)]
            assert {result["run_id"] for result in results} == {run.run_id for run in sandbox.runs}
            assert {result["status"] for result in results} == {"in_progress"}


@pytest.mark.parametrize("by", ["EOF", "SIGTERM"])
async def test_a_start_that_hangs_does_not_delay_the_exit(by: str) -> None:
    """It is the one step that cannot be cancelled."""
    with anyio.fail_after(30):
        async with sandbox_on_port() as (url, sandbox), stdio_child(upstream(url)) as child:
            sandbox.add_fault(parse_fault("delay on=start seconds=60"))
            await child.initialize()
            await send_ask(child, 10)
            await anyio.sleep(0.7)
            await ends(child, by)


async def test_a_cancelled_call_stops_polling_before_the_next_poll() -> None:
    """The run goes on, and its answer can be fetched."""
    with anyio.fail_after(30):
        async with (
            sandbox_on_port(SandboxOptions(run_seconds=4)) as (url, sandbox),
            stdio_child(upstream(url)) as child,
        ):
            await child.initialize()
            await send_ask(child, 10)
            await runs(sandbox, 1)
            await child.send({"method": "notifications/cancelled", "params": {"requestId": 10}})
            await anyio.sleep(0.2)
            seen = len(sandbox.requests)
            await anyio.sleep(2)
            assert len(sandbox.requests) == seen
            (run,) = sandbox.runs
            result = await child.call(11, "contit_response", {"thread_id": run.thread_id, "run_id": run.run_id})
            assert result["structuredContent"]["response"] == run.turn.answer
            assert await child.end() == 0
            assert b'"outcome": "cancelled"' in child.stderr
