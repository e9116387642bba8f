"""The nginx example that operators copy: what it passes on, to which replica, and what it never sends twice."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import pytest

from contit_mcp.config.settings import HttpSettings, Settings
from tests.children import free_port
from tests.replicas.nginx import EXAMPLE, Nginx, nginx_program, running_nginx

pytestmark = pytest.mark.anyio


@dataclass
class ScriptedReplica:
    """A server instead of a replica, which speaks just enough HTTP to behave as a test says."""

    does: str  # "answer", "refuse" (503), "break" (closes the connection), "stream"
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # heads and bodies
    more: asyncio.Event = field(default_factory=asyncio.Event)  # lets a stream go on
    left: asyncio.Event = field(default_factory=asyncio.Event)  # is set when the other side has closed a stream

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((line for line in head.lower().splitlines() if line.startswith("content-length:")), ":0")
                self.requests.append((head, await reader.readexactly(int(length.split(":")[1]))))
                if self.does == "break":
                    return
                if self.does == "stream":
                    await self._stream(reader, writer)
                    return
                status = "503 No" if self.does == "refuse" else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\ndone".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has closed the connection
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\r\n\r\n")
        await self.more.wait()
        writer.write(b"data: second\r\n\r\n")
        await reader.read()
        self.left.set()


@asynccontextmanager
async def scripted_replica(port: int, does: str) -> AsyncIterator[ScriptedReplica]:
    replica = ScriptedReplica(does)
    server = await asyncio.start_server(replica.serve, "127.0.0.1", port)
    try:
        yield replica
    finally:
        server.close()


@asynccontextmanager
async def nginx_with(
    folder: Path, *replicas: str | None
) -> AsyncIterator[tuple[Nginx, httpx.AsyncClient, list[ScriptedReplica]]]:
    """Yield nginx with replicas that behave like this (None: nothing listens there), a client, and the replicas."""
    ports = [free_port() for _ in replicas]
    with anyio.fail_after(30):
        async with AsyncExitStack() as stack:
            running = [
                await stack.enter_async_context(scripted_replica(port, does))
                for port, does in zip(ports, replicas, strict=True)
                if does is not None
            ]
            nginx = stack.enter_context(running_nginx(ports, folder / "nginx"))
            yield nginx, await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=10)), running


@pytest.mark.parametrize("other", ["refuse", None])
async def test_a_post_goes_to_the_other_replica_if_one_refuses_it_or_is_gone(other: str | None, tmp_path: Path) -> None:
    """A replica answers 503 only if it has started nothing."""
    async with nginx_with(tmp_path, other, "answer") as (nginx, http, replicas):
        for _ in range(4):
            response = await http.post(nginx.url, content=b"question")
            assert (response.status_code, response.text) == (200, "done")
    assert [body for _, body in replicas[-1].requests] == [b"question"] * 4
    assert other is None or replicas[0].requests


@pytest.mark.parametrize(
    ("replica", "status", "error", "retry_after"),
    [("break", 502, "connection_lost", None), (None, 503, "no_replica", "2")],
)
async def test_a_post_that_broke_halfway_or_found_no_replica_is_an_error_and_is_not_sent_again(
    replica: str | None, status: int, error: str, retry_after: str | None, tmp_path: Path
) -> None:
    """The run of a broken one may exist. The caller is told, and decides."""
    async with nginx_with(tmp_path, replica, replica) as (nginx, http, replicas):
        for _ in range(2):
            response = await http.post(nginx.url, content=b"question")
            assert (response.status_code, response.json()["error"]) == (status, error)
            assert response.headers.get("retry-after") == retry_after
    assert sum(len(each.requests) for each in replicas) == len(replicas)


async def test_a_post_that_was_refused_and_then_broke_is_not_sent_a_third_time(tmp_path: Path) -> None:
    async with nginx_with(tmp_path, "refuse", "break", "answer") as (nginx, http, (refusing, breaking, answering)):
        statuses = [(await http.post(nginx.url, content=b"question")).status_code for _ in range(3)]
    assert statuses.count(502) == len(breaking.requests) >= 1
    assert statuses.count(200) == len(answering.requests) >= 1
    assert refusing.requests


async def test_an_event_arrives_while_the_stream_goes_on_and_a_client_that_leaves_is_noticed(tmp_path: Path) -> None:
    """So progress arrives in time, and the replica of a caller that left stops polling."""
    async with nginx_with(tmp_path, "stream") as (nginx, http, (replica,)):
        async with http.stream("POST", nginx.url, content=b"q") as response:
            chunks = response.aiter_text()
            for data in ("first", "second"):
                assert await anext(chunks) == f"data: {data}\r\n\r\n"
                replica.more.set()
        await replica.left.wait()


async def test_a_replica_gets_the_callers_address_and_headers_but_no_forged_address(tmp_path: Path) -> None:
    async with nginx_with(tmp_path, "answer") as (nginx, http, (replica,)):
        forged = {"X-Forwarded-For": "6.6.6.6", "Authorization": "Bearer token", "Traceparent": "00-1-1-01"}
        await http.post(nginx.url, content=b"q", headers=forged)
    own = {f"Host: 127.0.0.1:{nginx.port}", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http"}
    passed_on = {"Authorization: Bearer token", "Traceparent: 00-1-1-01"}
    assert own | passed_on <= set(replica.requests[0][0].split("\r\n"))


async def test_only_mcp_and_its_metadata_are_served_and_no_query_is_logged(tmp_path: Path) -> None:
    """Probes and metrics are for the operator."""
    async with nginx_with(tmp_path, "answer") as (nginx, http, (replica,)):
        for path in ("/", "/metrics", "/healthz", "/readyz", "/mcp/x", "/docs"):
            response = await http.get(f"{nginx.base}{path}?api_key=secret")
            assert (response.status_code, response.json()["error"]) == (404, "not_found")
        assert not replica.requests
        for path in ("/mcp", "/mcp/", "/.well-known/oauth-protected-resource/mcp"):
            assert (await http.get(f"{nginx.base}{path}")).status_code == 200
        assert "secret" not in "".join(nginx.passed)


async def test_the_limit_of_a_body_is_the_servers_own_default_and_no_body_is_written_to_disk(tmp_path: Path) -> None:
    largest = HttpSettings.model_fields["max_body_bytes"].default
    async with nginx_with(tmp_path, "answer") as (nginx, http, (replica,)):
        assert (await http.post(nginx.url, content=b"x" * largest)).status_code == 200
        assert (await http.post(nginx.url, content=b"x" * (largest + 1))).status_code == 413
        assert not list((tmp_path / "nginx" / "body").iterdir()), "no prompt is written to the disk"
    assert len(replica.requests) == 1


def test_a_silent_call_may_last_as_long_as_the_longest_wait() -> None:
    """A proxy that ends it earlier costs a turn of the model."""
    found = re.search(r"proxy_read_timeout +(\d+)s;", EXAMPLE.read_text())
    assert found is not None
    assert int(found[1]) > Settings.model_fields["max_wait_seconds"].default


def test_nginx_accepts_the_example_with_its_commented_lines_about_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mcp.example"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    nginx = Nginx(tmp_path, [1, 2])
    main, example = nginx.write(), tmp_path / "contit-mcp.conf"
    with_tls = re.sub(r"^    # (listen 443|ssl_)", r"    \1", example.read_text(), flags=re.MULTILINE)
    assert with_tls.count("\n    ssl_") == 3
    with_tls = with_tls.replace("listen 443", f"listen 127.0.0.1:{free_port()}")
    example.write_text(with_tls.replace("/etc/nginx/tls", str(tmp_path)))
    command: list[str | Path] = [nginx_program(), "-t", "-p", tmp_path, "-e", tmp_path / "error.log", "-c", main]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
