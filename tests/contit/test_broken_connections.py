"""Connections that end at an awkward moment, on real sockets: what is repeated, and what is called unknown."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.raw_server import (  # noqa: F401 - two are fixtures
    Behaviour,
    Connection,
    answers,
    anyio_backend,
    no_proxies,
    raw_server,
    unused_port,
)
from tests.contit.upstream import STARTED, Kept, start

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(attempts=4, shortest=0.001, longest=0.001)
PATIENT = 10.0
"""Seconds after which a test has hung; none takes one."""

BEGUN = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"threadId": "thr'


async def close_at_once(connection: Connection) -> None:
    """Close without reading: whether the request had left, nobody can say."""


async def reset_at_once(connection: Connection) -> None:
    """Reset without reading."""
    connection.reset()


async def reset_after_the_request(connection: Connection) -> None:
    """Take the whole request and reset."""
    await connection.request()
    connection.reset()


def after(sent: bytes, *, hangs: bool = False) -> Behaviour:
    """Return a behaviour that takes a whole request, sends this, and closes or hangs."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(sent)
        await anyio.sleep(PATIENT if hangs else 0)

    return behave


SENT: dict[str, tuple[Behaviour, type[errors.APIError]]] = {
    "close at once": (close_at_once, errors.APIConnectionError),
    "reset at once": (reset_at_once, errors.APIConnectionError),
    "reset after the request": (reset_after_the_request, errors.APIConnectionError),
    "close after the request": (after(b""), errors.APIConnectionError),
    "close in the head": (after(b"HTTP/1.1 200 OK\r\nContent-Le"), errors.APIConnectionError),
    "close in the body": (after(BEGUN), errors.APIConnectionError),
    "close in a chunk": (
        after(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"threadId": '),
        errors.APIConnectionError,
    ),
    "speak something else": (after(b"220 mail.example ESMTP\r\n\r\n"), errors.APIConnectionError),
    "broken gzip": (
        answers(b"this is not gzip", headers="Content-Encoding: gzip\r\n"),
        errors.APIResponseValidationError,
    ),
    "hang": (after(b"", hangs=True), errors.APITimeoutError),
    "hang in the body": (after(BEGUN, hangs=True), errors.APITimeoutError),
}


@asynccontextmanager
async def real_client(port: int, *, scheme: str = "http", retry: RetryPolicy = QUICK) -> AsyncIterator[ContitClient]:
    """A client to a port of this machine, with short timeouts."""
    policy = TransportPolicy(connect=5.0, read=0.1, write=5.0, pool=5.0)
    with anyio.fail_after(PATIENT):
        async with build_http_client(f"{scheme}://127.0.0.1:{port}", policy=policy) as http:
            yield ContitClient(http, retry=retry)


@pytest.mark.parametrize("name", SENT)
async def test_once_a_connection_stood_a_start_is_not_repeated_and_may_have_arrived(name: str) -> None:
    behave, kind = SENT[name]
    kept = Kept()
    async with raw_server(behave) as server, real_client(server.port) as client:
        with pytest.raises(errors.APIError) as caught:
            await start(client, keep=kept)
    assert type(caught.value) is kind
    assert getattr(caught.value, "may_have_arrived", True)
    assert server.connections == 1
    assert kept.runs == []


@pytest.mark.parametrize("name", SENT)
async def test_a_read_is_repeated_after_a_broken_connection(name: str) -> None:
    behave, kind = SENT[name]
    async with raw_server(behave) as server, real_client(server.port) as client:
        with pytest.raises(errors.APIError) as caught:
            await client.thread_response("thread-1")
    assert type(caught.value) is kind
    assert server.connections == 4 or name == "broken gzip"  # which leaves the connection as it is


async def test_a_refused_connection_is_repeated_since_nothing_was_sent() -> None:
    stats = start_call_stats()
    async with real_client(await unused_port()) as client:
        with pytest.raises(errors.APIConnectionError) as caught:
            await start(client)
    assert stats.requests == 4
    assert not caught.value.may_have_arrived
    assert caught.value.message == "Contit could not be reached."


async def test_a_start_reaches_contit_once_it_listens() -> None:
    port, kept = await unused_port(), Kept()
    async with (
        real_client(port, retry=RetryPolicy(shortest=0.2, jitter=0.0)) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(lambda: start(client, keep=kept))
        await anyio.sleep(0.05)
        async with raw_server(answers(json.dumps(STARTED).encode()), port=port) as server:
            while not kept.runs:
                await anyio.sleep(0.01)
    assert len(server.requests) == 1
    assert kept.runs[0].run_id == "run-1"


async def test_a_dropped_tls_handshake_is_repeated_since_nothing_was_sent() -> None:
    async with raw_server(close_at_once) as server, real_client(server.port, scheme="https") as client:
        with pytest.raises(errors.APIConnectionError) as caught:
            await start(client)
    assert not caught.value.may_have_arrived
    assert server.connections == 4
