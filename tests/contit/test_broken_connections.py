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
from tests.contit.raw_server import Behaviour, Connection, raw_server, unused_port
from tests.contit.real_sockets import anyio_backend, no_proxies  # noqa: F401 - fixtures
from tests.contit.upstream import STARTED, Kept, start

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(attempts=4, shortest=0.001, longest=0.001)
PATIENT = 10.0
"""Seconds after which a test has hung; none takes one."""


async def close_at_once(connection: Connection) -> None:
    """Close without reading: whether the request had left, nobody can say."""


async def reset_at_once(connection: Connection) -> None:
    """Reset without reading."""
    connection.reset()


async def close_after_the_request(connection: Connection) -> None:
    """Take the whole request and give no answer."""
    await connection.request()


async def reset_after_the_request(connection: Connection) -> None:
    """Take the whole request and reset."""
    await connection.request()
    connection.reset()


async def close_in_the_head(connection: Connection) -> None:
    """End in the middle of the answer's headers."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def close_in_the_body(connection: Connection) -> None:
    """End in the middle of the answer's body."""
    await connection.request()
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"threadId": "thr')


async def close_in_a_chunk(connection: Connection) -> None:
    """End in the middle of a chunked body."""
    await connection.request()
    await connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"threadId": ')


async def speak_something_else(connection: Connection) -> None:
    """Answer with what is no HTTP."""
    await connection.request()
    await connection.send(b"220 mail.example ESMTP\r\n\r\n")


async def send_broken_gzip(connection: Connection) -> None:
    """Announce gzip and send something else."""
    await connection.request()
    await connection.answer(b"this is not gzip", headers="Content-Encoding: gzip\r\n")


async def hang(connection: Connection) -> None:
    """Take the request and answer nothing."""
    await connection.request()
    await anyio.sleep(PATIENT)


async def hang_in_the_body(connection: Connection) -> None:
    """Begin an answer and stop."""
    await connection.request()
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"threadId": "thr')
    await anyio.sleep(PATIENT)


SENT: list[tuple[Behaviour, type[errors.APIError]]] = [
    (close_at_once, errors.APIConnectionError),
    (reset_at_once, errors.APIConnectionError),
    (close_after_the_request, errors.APIConnectionError),
    (reset_after_the_request, errors.APIConnectionError),
    (close_in_the_head, errors.APIConnectionError),
    (close_in_the_body, errors.APIConnectionError),
    (close_in_a_chunk, errors.APIConnectionError),
    (speak_something_else, errors.APIConnectionError),
    (send_broken_gzip, errors.APIResponseValidationError),
    (hang, errors.APITimeoutError),
    (hang_in_the_body, errors.APITimeoutError),
]


@asynccontextmanager
async def real_client(port: int, *, scheme: str = "http", retry: RetryPolicy = QUICK) -> AsyncIterator[ContitClient]:
    """A client to a port of this machine, with short timeouts."""
    policy = TransportPolicy(connect=5.0, read=0.1, write=5.0, pool=5.0)
    async with build_http_client(f"{scheme}://127.0.0.1:{port}", policy=policy) as http:
        yield ContitClient(http, retry=retry)


@pytest.mark.parametrize(("behave", "kind"), SENT, ids=lambda value: value.__name__)
async def test_a_start_is_not_repeated_after_a_broken_connection(
    behave: Behaviour, kind: type[errors.APIError]
) -> None:
    """Once the connection stood, the question may have arrived: one request, and no certainty."""
    kept = Kept()
    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, real_client(server.port) as client:
            with pytest.raises(errors.APIError) as caught:
                await start(client, keep=kept)
    assert type(caught.value) is kind
    if isinstance(caught.value, errors.APIConnectionError):
        assert caught.value.may_have_arrived
    assert server.connections == 1
    assert kept.runs == []


@pytest.mark.parametrize(("behave", "kind"), SENT, ids=lambda value: value.__name__)
async def test_a_read_is_repeated_after_a_broken_connection(behave: Behaviour, kind: type[errors.APIError]) -> None:
    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, real_client(server.port) as client:
            with pytest.raises(errors.APIError) as caught:
                await client.thread_response("thread-1")
    assert type(caught.value) is kind
    assert server.connections == 4


async def test_a_refused_connection_is_repeated_since_nothing_was_sent() -> None:
    stats = start_call_stats()
    with anyio.fail_after(PATIENT):
        async with real_client(await unused_port()) as client:
            with pytest.raises(errors.APIConnectionError) as caught:
                await start(client)
    assert stats.requests == 4
    assert not caught.value.may_have_arrived
    assert caught.value.message == "Contit could not be reached."


async def test_a_start_reaches_contit_once_it_listens() -> None:
    port, kept = await unused_port(), Kept()

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.answer(json.dumps(STARTED).encode())

    with anyio.fail_after(PATIENT):
        async with (
            real_client(port, retry=RetryPolicy(shortest=0.2, jitter=0.0)) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(lambda: start(client, keep=kept))
            await anyio.sleep(0.05)
            async with raw_server(behave, port=port) as server:
                while not kept.runs:
                    await anyio.sleep(0.01)
    assert len(server.requests) == 1
    assert kept.runs[0].run_id == "run-1"


async def test_a_dropped_tls_handshake_is_repeated_since_nothing_was_sent() -> None:
    with anyio.fail_after(PATIENT):
        async with raw_server(close_at_once) as server, real_client(server.port, scheme="https") as client:
            with pytest.raises(errors.APIConnectionError) as caught:
                await start(client)
    assert not caught.value.may_have_arrived
    assert server.connections == 4


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(b'{"status": "in_progress"}')

    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, real_client(server.port) as client:
            for _ in range(3):
                await client.run_status("thread-1", "run-1")
            assert (server.connections, len(server.requests)) == (1, 3)
