"""Bodies of Contit, the token endpoint and the issuer are read up to a limit, on every path. Real sockets."""

import gzip
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import ClientCredentialsAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import BodyTooLargeError, TransportPolicy, build_http_client
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.raw_server import Connection, raw_server
from tests.contit.real_sockets import anyio_backend, no_proxies  # noqa: F401 - fixtures
from tests.contit.upstream import start
from tests.memory import peak_memory

pytestmark = pytest.mark.anyio

MEBIBYTE = 1_048_576
LIMIT = 8 * MEBIBYTE
ROOM = 4 * LIMIT
"""What one body may take while it is read: compressed, decompressed, and a copy of each."""

ZEROS = b"\0" * (100 * MEBIBYTE)
GOOD = b'{"status": "in_progress", "response": "Twelve.", "threadId": "t", "runId": "r", "access_token": "token"}'


def gzipped(data: bytes) -> bytes:
    """Return the data as gzip, the same at any time: it names a test."""
    return gzip.compress(data, mtime=0)


BOMBS = {
    "gzip": ("gzip", gzipped(ZEROS)),
    "x-gzip": ("x-gzip", gzipped(ZEROS)),
    "deflate": ("deflate", zlib.compress(ZEROS)),
    "gzip called deflate": ("deflate", gzipped(ZEROS)),
    "capitals": ("GZIP", gzipped(ZEROS)),
}


def bomb(name: str, status: str = "200 OK") -> Callable[[Connection], Awaitable[None]]:
    """Return a behaviour that answers everything with a small body that is a huge one."""
    coding, body = BOMBS[name]

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(body, status=status, headers=f"Content-Encoding: {coding}\r\n")

    return behave


def endless(status: str = "200 OK") -> Callable[[Connection], Awaitable[None]]:
    """Return a behaviour that answers with a body without an end, as fast as it is taken."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(4_000):  # 250 MiB at the most, if nobody stops it
            await connection.send(chunk)

    return behave


def large(connection: Connection) -> Awaitable[None]:
    """Answer with a body of an announced length over the limit."""

    async def behave() -> None:
        await connection.request()
        await connection.answer(b"x" * (LIMIT + 1))

    return behave()


def status_of(client: ContitClient) -> Awaitable[object]:
    """Ask for a status."""
    return client.run_status("t", "r")


def response_of(client: ContitClient) -> Awaitable[object]:
    """Ask for an answer."""
    return client.thread_response("t")


ENDPOINTS = {"start": start, "status": status_of, "response": response_of}
HUGE = {
    "endless": endless(),
    "announced": large,
    "an endless error": endless("500 Internal Server Error"),
    "an endless 404": endless("404 Not Found"),
    "a bomb": bomb("gzip"),
    "a bomb as an error": bomb("gzip", "503 Service Unavailable"),
}


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", HUGE)
async def test_a_huge_body_is_refused_by_every_endpoint_directly_and_behind_a_proxy(
    name: str, endpoint: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read up to the limit, in bounded memory, once: it would be as large again."""
    stats = start_call_stats()
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(60))
        server = await stack.enter_async_context(raw_server(HUGE[name]))
        address = f"http://127.0.0.1:{server.port}"
        if way == "proxy":
            monkeypatch.setenv("HTTP_PROXY", address)
            address = "http://contit.test"
        client = ContitClient(await stack.enter_async_context(build_http_client(address)))
        with peak_memory() as memory, pytest.raises(errors.APIResponseValidationError) as caught:
            await ENDPOINTS[endpoint](client)
    assert memory.peak < ROOM
    assert not caught.value.retryable
    assert "CONTIT_MCP_UPSTREAM_BODY_BYTES" in caught.value.hint
    assert server.connections == 1
    assert dict(stats.statuses) == {"none": 1}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_in_whatever_way_it_is_packed(name: str) -> None:
    with anyio.fail_after(60):
        async with raw_server(bomb(name)) as server, build_http_client(f"http://127.0.0.1:{server.port}") as http:
            with peak_memory() as memory, pytest.raises(errors.APIResponseValidationError, match="too large"):
                await ContitClient(http).thread_response("t")
    assert memory.peak < ROOM


@pytest.mark.parametrize("name", ["endless", "a bomb"])
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "500 Internal Server Error"])
async def test_a_huge_body_of_the_token_endpoint_is_refused(name: str, status: str) -> None:
    behave = endless(status) if name == "endless" else bomb("gzip", status)
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(60))
        tokens = await stack.enter_async_context(raw_server(behave))
        contit = await stack.enter_async_context(raw_server(answer_well))
        http = await stack.enter_async_context(build_http_client(""))
        auth = ClientCredentialsAuth(
            "client",
            SecretValue("CONTIT_CLIENT_SECRET", value="secret"),
            token_url=f"http://127.0.0.1:{tokens.port}/token",
            http=http,
        )
        client = await stack.enter_async_context(build_http_client(f"http://127.0.0.1:{contit.port}"))
        with peak_memory() as memory, pytest.raises(errors.APIResponseValidationError):
            await start(ContitClient(client, auth=auth))
    assert memory.peak < ROOM
    assert contit.requests == []


async def answer_well(connection: Connection) -> None:
    """Answer every request with a good body."""
    while True:
        await connection.request()
        await connection.answer(GOOD)


async def read(body: bytes, coding: str, policy: TransportPolicy | None = None) -> bytes | httpx.DecodingError:
    """Return the body that a client reads, or why it refuses it."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.answer(body, headers=f"Content-Encoding: {coding}\r\n" if coding else "")

    with anyio.fail_after(30):
        async with (
            raw_server(behave) as server,
            build_http_client(f"http://127.0.0.1:{server.port}", policy=policy) as http,
        ):
            try:
                return (await http.get(f"http://127.0.0.1:{server.port}/")).content
            except httpx.DecodingError as error:
                return error


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", GOOD),
        ("identity", GOOD),
        ("gzip", gzipped(GOOD)),
        ("X-GZip", gzipped(GOOD)),
        ("deflate", zlib.compress(GOOD)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
async def test_a_body_that_a_gateway_compressed_is_understood(coding: str, body: bytes) -> None:
    assert await read(body, coding) == GOOD


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"rubbish"),
        ("deflate", b"rubbish"),
        ("gzip", gzipped(GOOD)[:-4]),
        ("gzip", gzipped(GOOD)[:10]),
        ("br", b"\x8b\x02\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("compress", b"x"),
        ("gzip, gzip, gzip", gzipped(gzipped(gzipped(GOOD)))),
        (", ".join(["gzip"] * 2_000), b"x"),
        ("nonsense", GOOD),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else str(len(value)),
)
async def test_a_body_that_is_not_compressed_as_it_says_is_an_error(coding: str, body: bytes) -> None:
    assert isinstance(await read(body, coding), httpx.DecodingError)


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_the_limit_is_exact_and_can_be_set(coding: str) -> None:
    policy = TransportPolicy(body_bytes=100_000)

    def sent(size: int) -> bytes:
        return gzipped(b"x" * size) if coding else b"x" * size

    assert await read(sent(100_000), coding, policy) == b"x" * 100_000
    assert isinstance(await read(sent(100_001), coding, policy), BodyTooLargeError)


async def test_after_a_refused_body_the_next_request_works() -> None:
    async def behave(connection: Connection) -> None:
        if connection.server.connections == 1:
            await endless()(connection)
        await answer_well(connection)

    policy = TransportPolicy(connections=1, pool=1.0)
    with anyio.fail_after(30):
        async with (
            raw_server(behave) as server,
            build_http_client(f"http://127.0.0.1:{server.port}", policy=policy) as http,
        ):
            client = ContitClient(http, retry=RetryPolicy(attempts=1))
            with pytest.raises(errors.APIResponseValidationError):
                await client.thread_response("t")
            assert await client.thread_response("t") == "Twelve."
