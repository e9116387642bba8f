"""A signal to a server over HTTP: handles for everyone who waits, nothing new, exit code 0, all within 5 s."""

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp.sandbox.faults import Fault
from contit_mcp.sandbox.options import SandboxOptions
from tests.e2e.processes import COMMAND, sandbox_on_port
from tests.http.deployed import (
    ERAS,
    QUESTION,
    TOKEN_MODE,
    TOKENS,
    Deployed,
    anyio_backend,
    ask,
    call,
    caller,
    deployed,
    deployment,
    request_of,
    result_in,
    runs,
)
from tests.redis_server import redis_server

__all__ = ["anyio_backend"]
pytestmark = pytest.mark.anyio

WITHIN = 5.0
"""Seconds that design and documentation promise."""
ROOM = {"CONTIT_MCP_CALLS_PER_CALLER": "500", "CONTIT_MCP_REQUESTS_PER_MINUTE": "2000"}


async def drained(
    server: Deployed, http: httpx.AsyncClient, count: int, *, by: signal.Signals = signal.SIGTERM
) -> tuple[list[dict[str, Any]], int, float]:
    """Let so many ask, half in each era, send the signal, and return what each of them got."""
    results: list[dict[str, Any]] = []

    async def one(number: int) -> None:
        arguments = {"prompt": f"{QUESTION} ({number})", "wait_seconds": 100}
        results.append(result_in(await http.post(server.url, **request_of(ERAS[number % 2], "contit_ask", arguments))))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
        await server.logged("run.started", count)
        code, seconds = await server.end(by)
    return results, code, seconds


@pytest.mark.parametrize(("mode", "count"), [("token-redis", 200), ("none-sqlite", 60)])
async def test_asks_in_flight_get_handles_that_the_next_process_answers(mode: str, count: int, tmp_path: Path) -> None:
    """In both eras, with sealed ids and plain ones."""
    with anyio.fail_after(80), redis_server(tmp_path) as redis:
        store = {"CONTIT_MCP_STORE": redis.url if "redis" in mode else f"sqlite:{tmp_path / 'runs.db'}"}
        environment = ROOM | store | (TOKEN_MODE if "token" in mode else {})
        async with (
            deployment(SandboxOptions(run_seconds=4 + count * 0.08), **environment) as (server, sandbox),
            caller(TOKENS["anna"] if "token" in mode else None) as http,
        ):
            results, code, seconds = await drained(server, http, count)
            assert code == 0
            assert seconds < WITHIN
            assert Counter(result["isError"] for result in results) == {False: count}
            handles = [result["structuredContent"] for result in results]
            assert {handle["status"] for handle in handles} == {"in_progress"}
            assert len({(handle["thread_id"], handle["run_id"]) for handle in handles}) == count
            assert not [line for line in server.lines if line["level"] == "error"]
            async with deployed(environment | upstream_of(server)) as following:
                wait = {"wait_seconds": 60}
                answers: list[str] = []

                async def collect(handle: dict[str, Any]) -> None:
                    ids = {name: handle[name] for name in ("thread_id", "run_id")}
                    result = await call(http, following, "contit_response", "modern", **ids, **wait)
                    answers.append(result["structuredContent"]["status"])

                async with anyio.create_task_group() as tasks:
                    for handle in handles:
                        tasks.start_soon(collect, handle)
            assert Counter(answers) == {"completed": count}
            assert len(sandbox.runs) == count


def upstream_of(server: Deployed) -> dict[str, str]:
    """The Contit of another server."""
    return {name: server.environment[name] for name in ("CONTIT_BASE_URL", "CONTIT_API_KEY")}


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda by: by.name)
@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
async def test_each_signal_that_ends_a_service_drains_it(by: signal.Signals, *, uvloop: bool) -> None:
    """A supervisor's, Ctrl-C, and the end of a terminal; also without the extra `server`."""
    command = list(COMMAND)
    if not uvloop:
        block = "import importlib.util as u; f = u.find_spec"
        block += "; u.find_spec = lambda n, *a: None if n == 'uvloop' else f(n, *a)"
        main = "import sys; sys.argv[0] = 'contit-mcp'; from contit_mcp.cli.main import main; main()"
        command = [sys.executable, "-c", f"{block}; {main}"]
    with anyio.fail_after(30):
        async with sandbox_on_port(SandboxOptions(run_seconds=60)) as (url, _):
            environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
            async with deployed(environment, command=command) as server, caller() as http:
                results, code, seconds = await drained(server, http, 8, by=by)
                cause = server.named("server.stopping")[0]["cause"]
    assert (code, [result["structuredContent"]["status"] for result in results]) == (0, ["in_progress"] * 8)
    assert cause == by.name
    assert seconds < WITHIN


async def test_an_ignored_hangup_stays_ignored() -> None:
    """`nohup` starts a server so that it outlives its terminal."""
    block = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    main = "import sys; sys.argv[0] = 'contit-mcp'; from contit_mcp.cli.main import main; main()"
    with anyio.fail_after(30):
        async with sandbox_on_port() as (url, _):
            environment = {"CONTIT_BASE_URL": url, "CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
            command = [sys.executable, "-c", f"{block}; {main}"]
            async with deployed(environment, command=command) as server, caller() as http:
                server.process.send_signal(signal.SIGHUP)
                await anyio.sleep(0.5)
                assert (await http.get(f"{server.base}/readyz")).status_code == 200
                assert (await server.end())[0] == 0


async def test_a_server_that_drains_takes_nothing_new_and_says_so() -> None:
    """On connections that stand and on new ones: 503 with Retry-After, not ready, alive."""
    hanging = Fault("delay", on="start", seconds=30)
    with anyio.fail_after(30):
        async with deployment(SandboxOptions(faults=(hanging,))) as (server, sandbox), caller() as http:
            structures: list[dict[str, Any]] = []

            async def hang() -> None:
                structures.append(await ask(http, server))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                while not sandbox.runs:
                    await anyio.sleep(0.02)
                server.process.send_signal(signal.SIGTERM)
                await server.logged("server.stopping")
                for client in (http, fresh := caller()):
                    refused = await client.post(server.url, **request_of("modern", "contit_ask", {"prompt": QUESTION}))
                    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                    assert refused.json()["id"] == 1
                    assert refused.json()["error"]["data"]["reason"] == "draining"
                    assert (await client.get(f"{server.base}/readyz")).status_code == 503
                    assert (await client.get(f"{server.base}/healthz")).status_code == 200
                await fresh.aclose()
            assert await server.process.wait() == 0
    assert len(sandbox.runs) == 1


async def test_an_ask_whose_start_hangs_is_told_that_nobody_knows_within_5_s() -> None:
    """It may run: Contit has no idempotency key."""
    hanging = Fault("delay", on="start", seconds=30, times=2)
    with anyio.fail_after(30):
        async with deployment(SandboxOptions(faults=(hanging,))) as (server, sandbox), caller() as http:
            structures: list[dict[str, Any]] = []

            async def hang(era: str) -> None:
                structures.append(await ask(http, server, era, prompt=f"{QUESTION} ({era})"))

            async with anyio.create_task_group() as tasks:
                for era in ERAS:
                    tasks.start_soon(hang, era)
                while len(sandbox.runs) < 2:
                    await anyio.sleep(0.02)
                code, seconds = await server.end()
    assert code == 0
    assert seconds < WITHIN
    assert [(structure["status"], "run_id" in structure) for structure in structures] == [("failed", False)] * 2
    assert all("it is unknown whether a run was started" in structure["error"] for structure in structures)
    assert {line["outcome"] for line in server.named("call.finished")} == {"StartUnknownError"}


async def test_an_ask_that_waits_to_repeat_its_start_is_told_to_ask_again() -> None:
    """Nothing runs for it, so nothing is unknown."""
    busy = Fault("503", on="start", times=None, retry_after="30")
    with anyio.fail_after(30):
        async with deployment(SandboxOptions(faults=(busy,))) as (server, sandbox), caller() as http:
            structures: list[dict[str, Any]] = []

            async def hang() -> None:
                structures.append(await ask(http, server, wait_seconds=100))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                while not sandbox.requests:
                    await anyio.sleep(0.02)
                code, seconds = await server.end()
    assert (code, seconds < WITHIN) == (0, True)
    assert "not started" in structures[0]["error"]
    assert "Ask again" in structures[0]["next_step"]


async def test_a_second_signal_leaves_at_once() -> None:
    """Whoever sends two does not want to wait, and the exit code says that the drain did not end."""
    hanging = Fault("delay", on="start", seconds=30)
    with anyio.fail_after(30):
        async with deployment(SandboxOptions(faults=(hanging,))) as (server, sandbox), caller() as http:

            async def hang() -> None:
                with pytest.raises(httpx.TransportError):
                    await ask(http, server)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                while not sandbox.runs:
                    await anyio.sleep(0.02)
                server.process.send_signal(signal.SIGTERM)
                await server.logged("server.stopping")
                code, seconds = await server.end()
    assert code == 128 + signal.SIGTERM
    assert seconds < 1


async def test_a_client_that_does_not_read_its_answer_holds_no_exit() -> None:
    """Its stream is ended with the others."""
    with anyio.fail_after(30):
        async with deployment(SandboxOptions(run_seconds=60)) as (server, sandbox), caller() as http:
            request = http.build_request("POST", server.url, **request_of("legacy", "contit_ask", {"prompt": QUESTION}))
            response = await http.send(request, stream=True)
            await runs(sandbox, 1)
            code, seconds = await server.end()
            await response.aclose()
    assert (code, seconds < WITHIN) == (0, True)


async def test_a_redis_that_goes_just_before_the_drain_costs_no_handle(tmp_path: Path) -> None:
    """When a node is emptied both go; a store that restarts is waited for 5 s otherwise."""
    with anyio.fail_after(60), redis_server(tmp_path) as redis:
        environment = {"CONTIT_MCP_STORE": redis.url, "CONTIT_MCP_SEAL_KEY": TOKEN_MODE["CONTIT_MCP_SEAL_KEY"]}
        async with deployment(SandboxOptions(run_seconds=60), **environment) as (server, sandbox), caller() as http:
            structures: list[dict[str, Any]] = []

            async def hang(number: int) -> None:
                structures.append(await ask(http, server, prompt=f"{QUESTION} ({number})", wait_seconds=100))

            async with anyio.create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(hang, number)
                await server.logged("run.started", 5)
                redis.stop()
                code, seconds = await server.end()
    assert code == 0
    assert seconds < WITHIN
    assert [structure["status"] for structure in structures] == ["in_progress"] * 5
    assert len({structure["run_id"] for structure in structures}) == len(sandbox.runs) == 5


async def test_a_call_that_a_drain_cuts_off_after_its_start_is_not_called_unstarted(tmp_path: Path) -> None:
    """A 503 invites proxies to send the question to another replica, and it would run twice."""
    slow = Fault("delay", on="start", seconds=1.8)
    with anyio.fail_after(60), redis_server(tmp_path) as redis:
        environment = {"CONTIT_MCP_STORE": redis.url, "CONTIT_MCP_SEAL_KEY": TOKEN_MODE["CONTIT_MCP_SEAL_KEY"]}
        async with deployment(SandboxOptions(faults=(slow,)), **environment) as (server, sandbox), caller() as http:
            responses: list[httpx.Response] = []

            async def hang() -> None:
                request = request_of("modern", "contit_ask", {"prompt": QUESTION})
                responses.append(await http.post(server.url, **request))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                while not sandbox.runs:
                    await anyio.sleep(0.02)
                redis.freeze()  # the ids are kept in memory alone, after 2 s: longer than the drain waits
                try:
                    code, seconds = await server.end()
                finally:
                    redis.thaw()
    assert (code, seconds < WITHIN) == (0, True)
    assert responses[0].status_code == 500
    assert responses[0].json()["id"] == 1
    assert "may have been started" in responses[0].json()["error"]["message"]


async def test_a_redis_that_hangs_holds_no_exit(tmp_path: Path) -> None:
    """Its connections cannot be closed in order; the handles of all asks are returned nevertheless."""
    with anyio.fail_after(60), redis_server(tmp_path) as redis:
        environment = {"CONTIT_MCP_STORE": redis.url, "CONTIT_MCP_SEAL_KEY": TOKEN_MODE["CONTIT_MCP_SEAL_KEY"]}
        async with deployment(SandboxOptions(run_seconds=60), **environment) as (server, _), caller() as http:
            results: list[dict[str, Any]] = []

            async def hang(number: int) -> None:
                results.append(await ask(http, server, prompt=f"{QUESTION} ({number})", wait_seconds=100))

            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(hang, number)
                await server.logged("run.started", 20)
                redis.freeze()
                try:
                    code, seconds = await server.end()
                finally:
                    redis.thaw()
    assert (code, seconds < WITHIN) == (0, True)
    assert [result["status"] for result in results] == ["in_progress"] * 20
