"""A signal drains an HTTP server: waiting asks get their handles, no new call is taken, exit code 0, all within 5 s."""

import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp.sandbox.options import Fault, SandboxOptions
from contit_mcp.sandbox.record import SandboxRecord
from tests import children
from tests.children import COMMAND, ERAS, QUESTION, TOKENS, Served, ask, call, caller, deployed, deployment, request_of
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

ALONE = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory"}
WITHIN = 5.0  # seconds that design and documentation promise


@asynccontextmanager
async def asking(http: httpx.AsyncClient, server: Served, count: int = 1) -> AsyncIterator[list[dict[str, Any]]]:
    """Ask `count` questions at once, half in each era. The yielded list gets their structured results as they end."""
    found: list[dict[str, Any]] = []

    async def one(number: int) -> None:
        more = {"prompt": f"{QUESTION} ({number})", "wait_seconds": 100}
        found.append(await ask(http, server, ERAS[number % 2], **more))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
        yield found


@asynccontextmanager
async def drained(
    count: int, options: SandboxOptions, by: signal.Signals = signal.SIGTERM, **more: Any
) -> AsyncIterator[tuple[Served, SandboxRecord, list[dict[str, Any]]]]:
    """Ask `count` questions; after the block, end the server by a signal, and check its exit code and the seconds."""
    async with deployment(options, **more) as (server, sandbox), caller() as http, asking(http, server, count) as found:
        yield server, sandbox, found
        code, seconds = await server.end(by)
    assert (code, seconds < WITHIN) == (0, True)


async def until_started(sandbox: SandboxRecord) -> None:
    while not sandbox.runs:
        await anyio.sleep(0.02)


@pytest.mark.parametrize(("token", "count"), [(TOKENS["anna"], 200), (None, 60)])
async def test_asks_in_flight_get_handles_that_the_next_process_answers(
    token: str | None, count: int, tmp_path: Path, own_redis: RedisServer
) -> None:
    """Sealed handles with Redis, and plain ids with SQLite."""
    environment = {"CONTIT_MCP_CALLS_PER_CALLER": "500", "CONTIT_MCP_REQUESTS_PER_MINUTE": "2000"}
    environment["CONTIT_MCP_STORE"] = own_redis.url if token else f"sqlite:{tmp_path / 'runs.db'}"
    environment |= children.TOKEN_MODE if token else {}
    options = SandboxOptions(run_seconds=4 + count * 0.08)
    async with deployment(options, **environment) as (server, sandbox), caller(token) as http:
        async with asking(http, server, count) as handles:
            await server.logged("run.started", count)
            code, seconds = await server.end()
        assert (code, seconds < WITHIN) == (0, True)
        assert Counter(handle["status"] for handle in handles) == {"in_progress": count}
        assert len({(handle["thread_id"], handle["run_id"]) for handle in handles}) == count
        assert not [line for line in server.lines if line["level"] == "error"]
        async with deployed(server.environment) as following:
            for handle in handles:
                ids = {name: handle[name] for name in ("thread_id", "run_id")}
                result = await call(http, following, "contit_response", "modern", **ids, wait_seconds=60)
                assert result["structuredContent"]["status"] == "completed"
        assert len(sandbox.runs) == count


def after(statements: str) -> list[str]:
    """Return a command that executes Python statements and then is `contit-mcp`."""
    main = "import sys; sys.argv[0] = 'contit-mcp'; from contit_mcp.cli.main import main; main()"
    return [sys.executable, "-c", f"{statements}; {main}"]


WITHOUT_UVLOOP = after(
    "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'uvloop' else f(n, *a)"
)
BOTH_LOOPS = pytest.mark.parametrize("command", [COMMAND, WITHOUT_UVLOOP], ids=["uvloop", "asyncio"])


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda by: by.name)
@BOTH_LOOPS
async def test_each_signal_that_ends_a_service_drains_it(by: signal.Signals, command: list[str]) -> None:
    """Also without uvloop, which comes with the extra `server`."""
    async with drained(8, SandboxOptions(run_seconds=60), by, command=command) as (server, _, found):
        await server.logged("run.started", 8)
    assert [each["status"] for each in found] == ["in_progress"] * 8
    assert server.named("server.stopping")[0]["cause"] == by.name


@BOTH_LOOPS
async def test_no_request_on_a_new_connection_is_lost(command: list[str]) -> None:
    """Each connection is refused or its request is answered, also while the server stops listening."""
    ends: Counter[str] = Counter()

    async def keep_connecting(port: int) -> None:
        while True:
            try:
                connection = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                return
            async with connection:
                try:
                    await connection.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    ends[(await connection.receive(12)).decode()] += 1
                except (anyio.BrokenResourceError, anyio.EndOfStream):
                    ends["lost"] += 1

    async with deployed(ALONE, command=command) as server, anyio.create_task_group() as tasks:
        for _ in range(24):
            tasks.start_soon(keep_connecting, server.port)
        while not ends:
            await anyio.sleep(0.01)
        await server.end()
    assert set(ends) == {"HTTP/1.1 200", "HTTP/1.1 503"}


async def test_a_server_without_a_free_file_descriptor_drains_too() -> None:
    """Idle connections can take all of them."""
    command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *COMMAND]
    async with deployed(ALONE, command=command) as server, AsyncExitStack() as idle:
        for _ in range(80):
            await idle.enter_async_context(await anyio.connect_tcp("127.0.0.1", server.port))
        await anyio.sleep(0.5)
        assert (await server.end())[0] == 0
    assert server.named("server.stopped")


async def test_an_ignored_hangup_stays_ignored() -> None:
    """`nohup` starts a server so that it outlives its terminal."""
    command = after("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    async with deployed(ALONE, command=command) as server, caller() as http:
        server.process.send_signal(signal.SIGHUP)
        await anyio.sleep(0.5)
        assert (await http.get(f"{server.base}/readyz")).status_code == 200
        assert (await server.end())[0] == 0


HANGING = Fault("delay", on="start", seconds=30, times=2)
BUSY = Fault("503", on="start", times=None, retry_after="30")


async def test_a_server_that_drains_takes_nothing_new_and_says_so() -> None:
    """On open connections and on new ones: 503 with Retry-After, not ready, alive."""
    async with deployment(SandboxOptions(faults=(HANGING,))) as (server, sandbox), caller() as http:
        async with asking(http, server), caller() as fresh:
            await until_started(sandbox)
            server.process.send_signal(signal.SIGTERM)
            await server.logged("server.stopping")
            for client in (http, fresh):
                refused = await client.post(server.url, **request_of("modern", "contit_ask", {"prompt": QUESTION}))
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert refused.json()["id"] == 1
                assert refused.json()["error"]["data"]["reason"] == "draining"
                assert (await client.get(f"{server.base}/readyz")).status_code == 503
                assert (await client.get(f"{server.base}/healthz")).status_code == 200
        assert await server.ended() == 0
    assert len(sandbox.runs) == 1


NOT_STARTED = [(HANGING, "it is unknown whether a run was started", ""), (BUSY, "not started", "Ask again")]


@pytest.mark.parametrize(("fault", "said", "next_step"), NOT_STARTED, ids=["its start hangs", "it waits for a retry"])
async def test_an_ask_without_a_run_says_whether_one_may_have_started(fault: Fault, said: str, next_step: str) -> None:
    """A start that hangs may have arrived. After one that was refused nothing runs, so the question can be repeated."""
    async with drained(2, SandboxOptions(faults=(fault,))) as (_, sandbox, found):
        while len(sandbox.runs) < 2 and not sandbox.requests:
            await anyio.sleep(0.02)
    assert [(each["status"], "run_id" in each) for each in found] == [("failed", False)] * 2
    assert all(said in each["error"] and next_step in each.get("next_step", "") for each in found)


async def test_a_second_signal_ends_the_process_at_once() -> None:
    options = SandboxOptions(faults=(HANGING,))
    async with deployment(options) as (server, sandbox), caller() as http, anyio.create_task_group() as tasks:

        async def signal_twice() -> None:
            await until_started(sandbox)
            server.process.send_signal(signal.SIGTERM)
            await server.logged("server.stopping")
            code, seconds = await server.end()
            assert (code, seconds < 1) == (-signal.SIGTERM, True)

        tasks.start_soon(signal_twice)
        with pytest.raises(httpx.TransportError):
            await ask(http, server)


@pytest.mark.parametrize("trouble", ["stops", "hangs"])
async def test_a_redis_in_trouble_costs_no_handle_and_delays_no_exit(own_redis: RedisServer, trouble: str) -> None:
    """When a Kubernetes node is drained, the server and Redis are ended together."""
    environment: dict[str, Any] = {"CONTIT_MCP_STORE": own_redis.url, "CONTIT_MCP_SEAL_KEY": children.SEAL_KEY}
    async with drained(20, SandboxOptions(run_seconds=60), **environment) as (server, sandbox, found):
        await server.logged("run.started", 20)
        own_redis.stop() if trouble == "stops" else own_redis.freeze()
    if trouble == "hangs":
        own_redis.thaw()
    assert [each["status"] for each in found] == ["in_progress"] * 20
    assert len({each["run_id"] for each in found}) == len(sandbox.runs) == 20


async def test_a_call_that_was_accepted_just_before_the_signal_gets_its_handle(own_redis: RedisServer) -> None:
    """It has not reached its tool yet, and its client may never retry."""
    store = {"CONTIT_MCP_STORE": own_redis.url, "CONTIT_MCP_SEAL_KEY": children.SEAL_KEY}
    async with deployment(SandboxOptions(run_seconds=60), **store) as (server, _), caller() as http:
        own_redis.freeze()  # Redis counts the requests
        async with asking(http, server) as found:
            await anyio.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            await server.logged("server.stopping")
            own_redis.thaw()
        assert await server.ended() == 0
    assert [each["status"] for each in found] == ["in_progress"], found


async def test_a_call_that_a_drain_cuts_off_after_its_start_gets_a_500(own_redis: RedisServer) -> None:
    """With a 503, a proxy would send the question to another replica, and it would run twice."""
    options = SandboxOptions(faults=(Fault("delay", on="start", seconds=1.8),))
    store = {"CONTIT_MCP_STORE": own_redis.url, "CONTIT_MCP_SEAL_KEY": children.SEAL_KEY}
    async with deployment(options, **store) as (server, sandbox), caller() as http, anyio.create_task_group() as tasks:

        async def end() -> None:
            await until_started(sandbox)
            own_redis.freeze()  # storing the ids takes 2 s then, and with the start longer than the drain waits
            code, seconds = await server.end()
            own_redis.thaw()
            assert (code, seconds < WITHIN) == (0, True)

        tasks.start_soon(end)
        response = await http.post(server.url, **request_of("modern", "contit_ask", {"prompt": QUESTION}))
    assert response.status_code == 500
    assert response.json()["id"] == 1
    assert "may have been started" in response.json()["error"]["message"]
