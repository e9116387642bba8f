"""`contit_mcp.create_app`: mounted in an application of someone else, which knows nothing of it but its path."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from contit_mcp import create_app
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import RunningSandbox, running_sandbox
from tests.children import ERAS as BOTH
from tests.children import JSON_RPC, request_of, result_in, rpc
from tests.python_api.test_server import DRAFTS, ask
from tests.server.stage import ERAS

pytestmark = pytest.mark.anyio

KEYS = frozenset({"anna-key", "ben-key"})
HERE = ("127.0.0.1", 50_000)


def app_of(sandbox: RunningSandbox, **options: Any) -> Any:
    return create_app(**{"api_key": "anna-key", "base_url": sandbox.url, "store": "memory", **options})


@contextmanager
def hosted(url: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run the host application as a child without any variable of ours, and give its address."""
    command = [sys.executable, "-m", "tests.python_api.host_application", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield f"http://127.0.0.1:{child.stdout.readline().strip()}", child
        finally:
            child.kill()


async def test_it_serves_both_eras_below_its_path_beside_another_app_with_another_credential(
    sandbox: RunningSandbox,
) -> None:
    """Nothing was run by hand; runs, metrics and requests of the two are apart."""
    with hosted(sandbox.url) as (url, _):
        for era in ERAS:
            async with Client(f"{url}/ai/mcp", mode=era) as anna, Client(f"{url}/of/ben/mcp", mode=era) as ben:
                assert (await ask(anna))["run_id"] != (await ask(ben))["run_id"]
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/hello")).text == "hello"
            assert (await http.get("/ai/readyz")).text == "ok\n"
            assert (await http.get("/ai/nothing")).status_code == 404
            await http.get("/ai/healthz")
            of_anna, of_ben = [(await http.get(f"{path}/metrics")).text for path in ("/ai", "/of/ben")]
        assert 'contit_mcp_http_requests_total{path="/healthz",status="200"} 1.0' in of_anna
        assert 'path="/healthz"' not in of_ben
        asked = 'contit_mcp_calls_total{outcome="completed",tool="contit_ask"}'
        for text in (of_anna, of_ben):
            [line] = [line for line in text.splitlines() if line.startswith(asked)]
            assert float(line.split()[-1]) == 2.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_drains_with_its_host(number: signal.Signals) -> None:
    """Every ask in flight gets its handle, and the host's own endless stream ends as it would without us."""
    with running_sandbox(SandboxOptions(run_seconds=60, api_keys=KEYS)) as sandbox, hosted(sandbox.url) as (url, child):
        found: list[dict[str, Any]] = []
        ticks: list[str] = []

        async def one(count: int) -> None:
            path, era = ("/ai", "/of/ben")[count % 2], BOTH[count // 2 % 2]
            arguments = {"prompt": f"{DRAFTS} ({count})", "wait_seconds": 100}
            async with httpx.AsyncClient(timeout=30) as http:
                result = result_in(await http.post(f"{url}{path}/mcp", **request_of(era, "contit_ask", arguments)))
            assert not result["isError"]
            found.append(result["structuredContent"])

        async def listen() -> None:
            async with httpx.AsyncClient(timeout=30) as http, http.stream("GET", f"{url}/ticks") as stream:
                with suppress(httpx.RemoteProtocolError):  # so it ends
                    async for line in stream.aiter_lines():
                        ticks.append(line)  # noqa: PERF401 - the stream breaks

        with anyio.fail_after(50):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                for count in range(12):
                    tasks.start_soon(one, count)
                while len(sandbox.record.runs) < 12:
                    await anyio.sleep(0.05)
                os.kill(child.pid, number)
                asked_at = time.monotonic()
            await anyio.to_thread.run_sync(child.wait)
        assert time.monotonic() - asked_at < 8
        assert {each["status"] for each in found} == {"in_progress"}
        assert len({each["run_id"] for each in found}) == 12
        assert ticks
        assert child.stderr is not None
        assert child.stderr.read().count("without completing response") == 1  # the host's own stream


def test_a_test_client_without_a_lifespan_can_call_it_again_and_again(sandbox: RunningSandbox) -> None:
    """Starlette's test client runs each request in an event loop of its own. A websocket below the mount is closed."""
    client = TestClient(app_of(sandbox, allowed_hosts="testserver"), client=HERE)
    for _ in range(3):
        assert client.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC).status_code == 200
    with client:
        assert client.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC).status_code == 200
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/mcp"):
        pass


STRANGER = "10.1.2.3"
TOKENS = {"auth": "token", "tokens": "a:" + "t" * 20, "seal_key": "s" * 32}
REQUESTS: list[tuple[str, dict[str, Any], dict[str, str], int]] = [
    ("127.0.0.1", {}, {}, 200),
    ("::1", {}, {}, 200),
    (STRANGER, {}, {}, 403),
    (STRANGER, {"allowed_hosts": "localhost"}, {}, 403),
    (STRANGER, TOKENS, {}, 401),
    (STRANGER, {"auth": "caller"}, {}, 401),
    *(("127.0.0.1", {}, {"Content-Length": length}, 413) for length in ("x", "-1", "", "9" * 5_000)),
]


@pytest.mark.parametrize(("client", "options", "headers", "status"), REQUESTS)
async def test_other_machines_without_authentication_and_odd_lengths_are_refused(
    sandbox: RunningSandbox, client: str, options: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """The host may listen on every address, with any Host header; not every transport checks a Content-Length."""
    transport = httpx.ASGITransport(app_of(sandbox, **options), client=(client, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC | headers)
    assert answer.status_code == status, answer.text


def test_an_unreadable_tokens_file_is_logged_and_nothing_is_written_to_stdout(
    sandbox: RunningSandbox, tmp_path: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Structlog would print to stdout, if it was used without the standard library's logging."""
    file = tmp_path / "tokens"
    file.write_text("a:" + "t" * 20, encoding="utf-8")
    app = app_of(sandbox, auth="token", tokens_file=file, seal_key="s" * 32)
    file.unlink()
    answer = TestClient(app).post("/mcp", json=rpc("tools/list"), headers=JSON_RPC | {"Authorization": "Bearer x"})
    assert answer.status_code == 503
    assert capfd.readouterr().out == ""
