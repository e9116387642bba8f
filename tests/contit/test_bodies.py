"""Bodies of Contit and of the token endpoint are read up to a limit, on every path. Real sockets."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import product

import pytest

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import ClientCredentialsAuth
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy
from contit_mcp.telemetry.call_stats import start_call_stats
from tests.contit.raw_server import Behaviour, Connection, answers, anyio_backend, no_proxies, served  # noqa: F401 - two are fixtures
from tests.contit.upstream import READS, start

pytestmark = pytest.mark.anyio

MEBIBYTE = 1_048_576
LIMIT = 8 * MEBIBYTE
MOST_MEMORY = 4 * LIMIT  # for one body: compressed, decompressed, and a copy of each
ZEROS = b"\0" * (100 * MEBIBYTE)
GOOD = b'{"status": "in_progress", "response": "Twelve.", "threadId": "t", "runId": "r", "access_token": "token"}'
UNREADABLE = "Contit's response could not be read."


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # without the time, because it is in the id of a test


BOMBS = {"gzip": gzipped(ZEROS), "deflate": zlib.compress(ZEROS)}


def bomb(coding: str = "gzip", status: str = "200 OK") -> Behaviour:
    return answers(BOMBS[coding], status=status, headers=f"Content-Encoding: {coding}\r\n")


def endless(status: str = "200 OK") -> Behaviour:
    """Return a behaviour that answers with a body without an end."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.stream.send(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(4_000):  # 250 MiB, if the client reads them
            await connection.stream.send(chunk)

    return behave


ENDPOINTS = {"start": start, **READS}
HUGE = {
    "endless": endless(),
    "announced": answers(b"x" * (LIMIT + 1)),
    "an endless error": endless("500 Internal Server Error"),
    "a bomb as an error": bomb(status="503 Service Unavailable"),
    "a bomb, x-gzip": answers(BOMBS["gzip"], headers="Content-Encoding: X-GZip\r\n"),
    "a bomb, accepted": bomb(status="202 Accepted"),
    **{f"a bomb: {coding}": bomb(coding) for coding in BOMBS},
}


@pytest.mark.parametrize(
    ("name", "endpoint", "way"),
    [
        *((name, "response", "direct") for name in HUGE),
        *product(("an endless error", "a bomb: gzip"), ["start"], ("token", "token by proxy")),
        *product(("endless", "a bomb: gzip"), ENDPOINTS, ("direct", "proxy")),
    ],
)
async def test_a_huge_body_is_refused_in_bounded_memory(
    name: str, endpoint: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proxied(url: str) -> str:
        monkeypatch.setenv("HTTP_PROXY", url)
        return "http://contit.test"

    stats, reached_by = start_call_stats(), proxied if "proxy" in way else str
    tracemalloc.start()
    try:
        async with served(HUGE[name], retry=RetryPolicy(), reached_by=reached_by) as (server, client):
            if "token" in way:
                secret = SecretValue("CONTIT_CLIENT_SECRET", value="secret")
                token_url = f"{'http://tokens.test' if 'proxy' in way else server.url}/token"
                client.auth = ClientCredentialsAuth("client", secret, token_url=token_url, http=client.http)
            with pytest.raises(errors.APIResponseValidationError) as caught:
                await ENDPOINTS[endpoint](client)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert (server.connections, dict(stats.statuses)) == (1, {"none": 1})
    if "token" not in way:  # an error about the token has another text
        assert "too large" in caught.value.message
        assert "CONTIT_MCP_UPSTREAM_BODY_BYTES" in caught.value.hint
        assert not caught.value.retryable


async def read(body: bytes, coding: str, policy: TransportPolicy | None = None) -> str:
    """Return the answer that a client reads, or the error for a body that it refuses."""
    headers = f"Content-Encoding: {coding}\r\n" if coding else ""
    async with served(answers(body, headers=headers), policy) as (_, client):
        try:
            return await client.thread_response("t")
        except errors.APIResponseValidationError as error:
            return error.message


@pytest.mark.parametrize(
    ("coding", "body", "result"),
    [
        ("identity", GOOD, "Twelve."),
        ("X-GZip", gzipped(GOOD), "Twelve."),
        ("deflate", zlib.compress(GOOD), "Twelve."),
        ("DEFLATE", gzipped(GOOD), "Twelve."),
        ("gzip", b"rubbish", UNREADABLE),
        ("gzip", gzipped(GOOD)[:-4], UNREADABLE),
        ("br", b"\x8b\x02\x80", UNREADABLE),
        ("gzip, gzip", gzipped(gzipped(GOOD)), UNREADABLE),
    ],
)
async def test_a_body_that_a_gateway_compressed_is_read_or_refused(coding: str, body: bytes, result: str) -> None:
    assert await read(body, coding) == result


@pytest.mark.parametrize("pack", [bytes, gzipped], ids=["plain", "gzip"])
async def test_the_limit_is_exact_and_can_be_set(pack: Callable[[bytes], bytes]) -> None:
    coding, body = "gzip" if pack is gzipped else "", pack(GOOD)
    assert await read(body, coding, TransportPolicy(body_bytes=len(GOOD))) == "Twelve."
    assert "too large" in await read(body, coding, TransportPolicy(body_bytes=len(GOOD) - 1))


async def test_after_a_refused_body_the_next_request_works() -> None:
    async def behave(connection: Connection) -> None:
        await (endless() if connection.server.connections == 1 else answers(GOOD))(connection)

    async with served(behave, TransportPolicy(connections=1, pool=1.0)) as (_, client):
        with pytest.raises(errors.APIResponseValidationError):
            await client.thread_response("t")
        assert await client.thread_response("t") == "Twelve."
