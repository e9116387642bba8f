"""The connections under the HTTP client: errors keep their meaning, and connections are given back. Real sockets."""

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from tests.contit.raw_server import Connection, raw_server
from tests.contit.real_sockets import anyio_backend, no_proxies  # noqa: F401 - fixtures
from tests.contit.upstream import start

ONCE = RetryPolicy(attempts=1)
PATIENT = 10.0


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["ftp://contit.test", "https://127.1"])
async def test_an_address_that_cannot_be_asked_was_sent_nothing(address: str) -> None:
    async with build_http_client(address) as http:
        with pytest.raises(errors.APIConnectionError) as caught:
            await start(ContitClient(http, retry=ONCE))
    assert not caught.value.may_have_arrived


@pytest.mark.anyio
async def test_long_headers_of_a_gateway_do_not_hide_the_answer() -> None:
    """A run would have been started that nobody has the ids of; a policy or cookie of 20 kB is no rarity."""

    async def answer(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b'{"threadId": "t", "runId": "r"}', headers=f"X-Long: {'x' * 20_000}\r\n")

    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as server, build_http_client(f"http://127.0.0.1:{server.port}") as http:
            assert (await start(ContitClient(http, retry=ONCE))).run_id == "r"


@pytest.mark.anyio
async def test_who_leaves_frees_the_connection_and_its_place() -> None:
    """The one that was asked on is closed, and the next request gets one although there may be only one."""
    closed = anyio.Event()

    async def behave(connection: Connection) -> None:
        await connection.request()
        if connection.server.connections == 1:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await connection.stream.receive()
            closed.set()
        else:
            await connection.answer(b'{"status": "in_progress"}')

    policy = TransportPolicy(connections=1, pool=1.0)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(behave) as server,
            build_http_client(f"http://127.0.0.1:{server.port}", policy=policy) as http,
        ):
            client = ContitClient(http, retry=ONCE)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run_status, "t", "left")
                while not server.requests:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            assert (await client.run_status("t", "next")).word == "in_progress"
            await closed.wait()
    assert server.connections == 2


@pytest.mark.anyio
async def test_an_answer_that_nobody_asked_for_is_nobodys() -> None:
    """A connection on which one came is not used again: the next request, maybe another caller's, would get it."""
    strayed = anyio.Event()

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(b'{"status": "in_progress"}')
            if connection.server.connections == 1:
                await anyio.sleep(0.02)  # so that it does not come together with the one before
                await connection.answer(b'{"status": "completed"}')
                strayed.set()

    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, build_http_client(f"http://127.0.0.1:{server.port}") as http:
            client = ContitClient(http, retry=ONCE)
            for _ in range(3):
                assert (await client.run_status("t", "r")).word == "in_progress"
                await strayed.wait()
                await anyio.sleep(0.05)
    assert server.connections == 2
