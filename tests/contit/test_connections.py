"""The connections under the HTTP client: they are shared, bounded, given back, and never hold another's answer."""

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from tests.contit.raw_server import (  # noqa: F401 - two are fixtures
    Connection,
    answers,
    anyio_backend,
    no_proxies,
    raw_server,
)
from tests.contit.upstream import ONCE, start

pytestmark = pytest.mark.anyio

PATIENT = 10.0
RUNNING = b'{"status": "in_progress"}'


@pytest.mark.parametrize("address", ["ftp://contit.test", "https://127.1"])
async def test_an_address_that_cannot_be_asked_was_sent_nothing(address: str) -> None:
    async with build_http_client(address) as http:
        with pytest.raises(errors.APIConnectionError) as caught:
            await start(ContitClient(http, retry=ONCE))
    assert not caught.value.may_have_arrived


async def test_long_headers_of_a_gateway_do_not_hide_the_ids_of_a_run() -> None:
    answer = answers(b'{"threadId": "t", "runId": "r"}', headers=f"X-Long: {'x' * 20_000}\r\n")
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as server, build_http_client(server.url) as http:
            assert (await start(ContitClient(http, retry=ONCE))).run_id == "r"


@pytest.mark.parametrize(("keep_alive", "connections"), [(20.0, 1), (0.05, 2)])
async def test_requests_one_after_the_other_share_a_connection_until_keep_alive_ends(
    keep_alive: float, connections: int
) -> None:
    policy = TransportPolicy(keep_alive=keep_alive)
    with anyio.fail_after(PATIENT):
        async with raw_server(answers(RUNNING)) as server, build_http_client(server.url, policy=policy) as http:
            for _ in range(2):
                await ContitClient(http).run_status("t", "r")
                await anyio.sleep(0.1)
    assert (server.connections, len(server.requests)) == (connections, 2)


async def test_a_caller_that_leaves_frees_the_connection_and_its_place() -> None:
    closed = anyio.Event()

    async def behave(connection: Connection) -> None:
        await connection.request()
        if connection.server.connections == 1:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await connection.stream.receive()
            closed.set()
        else:
            await connection.answer(RUNNING)

    policy = TransportPolicy(connections=1, pool=1.0)
    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, build_http_client(server.url, policy=policy) as http:
            client = ContitClient(http, retry=ONCE)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run_status, "t", "left")
                while not server.requests:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            assert (await client.run_status("t", "next")).word == "in_progress"
            await closed.wait()
    assert server.connections == 2


async def test_a_request_waits_for_a_free_connection_only_so_long() -> None:
    async def hang(connection: Connection) -> None:
        await connection.request()
        await anyio.sleep(PATIENT)

    policy = TransportPolicy(read=5.0, pool=0.05, connections=1)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(hang) as server,
            build_http_client(server.url, policy=policy) as http,
            anyio.create_task_group() as tasks,
        ):
            client = ContitClient(http, retry=ONCE)
            tasks.start_soon(client.run_status, "t", "first")
            while not server.requests:
                await anyio.sleep(0.01)
            with pytest.raises(errors.APITimeoutError) as caught:
                await client.run_status("t", "second")
            tasks.cancel_scope.cancel()
    assert not caught.value.may_have_arrived
    assert len(server.requests) == 1


async def test_a_connection_with_an_answer_that_nobody_asked_for_is_not_used_again() -> None:
    strayed = anyio.Event()

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(RUNNING)
            if connection.server.connections == 1:
                await anyio.sleep(0.02)  # so that it does not come together with the one before
                await connection.answer(b'{"status": "completed"}')
                strayed.set()

    with anyio.fail_after(PATIENT):
        async with raw_server(behave) as server, build_http_client(server.url) as http:
            client = ContitClient(http, retry=ONCE)
            for _ in range(3):
                assert (await client.run_status("t", "r")).word == "in_progress"
                await strayed.wait()
                await anyio.sleep(0.05)
    assert server.connections == 2
