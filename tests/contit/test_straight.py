"""Requests that go straight over our connections, as all do where no proxy stands between. Real sockets."""

import gzip

import anyio
import pytest

from contit_mcp import errors
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.connections import Header
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client, straight_connections
from contit_mcp.telemetry.call_stats import Tally, start_tally
from tests.contit.raw_server import Connection, raw_server
from tests.contit.real_sockets import anyio_backend, no_proxies  # noqa: F401 - fixtures
from tests.contit.upstream import start

ONCE = RetryPolicy(attempts=1)
GOING = b'{"status": "in_progress"}'
TOKENS: list[Header] = [("Authorization", "Bearer old"), ("Authorization", "Bearer new")]


class RenewedToken:
    """A credential that has another token after a refusal."""

    def identity(self) -> str:
        """Whoever it is."""
        return "somebody"

    async def header(self) -> Header:
        """The first one."""
        return TOKENS[0]

    async def instead_of(self, refused: Header) -> Header:
        """The second one."""
        assert refused is TOKENS[0]
        return TOKENS[1]


async def looked(
    body: bytes, *, status: str = "200 OK", headers: str = "", path: str = ""
) -> tuple[str | errors.APIError, bytes, Tally]:
    """What comes of a look at a run: Contit's word or the error, what was sent for it, and what was counted."""
    tally = start_tally()
    seen: list[str | errors.APIError] = []

    async def answer(connection: Connection) -> None:
        await connection.request()
        await connection.answer(body, status=status, headers=headers)

    with anyio.fail_after(10):
        async with (
            raw_server(answer) as server,
            build_http_client(f"http://127.0.0.1:{server.port}{path}") as http,
        ):
            assert straight_connections(http) is not None
            try:
                seen.append((await ContitClient(http, retry=ONCE).run_status("t", "r/../x")).word)
            except errors.APIError as error:
                seen.append(error)
    assert len(server.requests) == 1
    return seen[0], server.requests[0], tally


@pytest.mark.anyio
async def test_the_request_is_as_documented() -> None:
    """Its path below the base, ids quoted, and who we are."""
    word, request, tally = await looked(GOING, path="/base/")
    assert word == "in_progress"
    first, *headers = request.decode().split("\r\n")
    assert first == "GET /base/ai-assistant/thread/t/run/r%2F..%2Fx/status HTTP/1.1"
    assert "Accept: application/json" in headers
    assert any(line.startswith("User-Agent: contit-mcp/") for line in headers)
    assert any(line.startswith("Host: 127.0.0.1:") for line in headers)
    assert (tally.requests, dict(tally.statuses)) == (1, {"200": 1})


@pytest.mark.anyio
async def test_a_packed_answer_is_unpacked() -> None:
    """A gateway may pack what it likes (our choice)."""
    word, _, _ = await looked(gzip.compress(GOING), headers="Content-Encoding: gzip\r\n")
    assert word == "in_progress"


@pytest.mark.anyio
async def test_an_answer_that_is_not_packed_as_it_says_is_an_error_and_counted_once() -> None:
    """As unreadable as any other rubbish (our choice)."""
    error, _, tally = await looked(b"rubbish", headers="Content-Encoding: gzip\r\n")
    assert isinstance(error, errors.APIResponseValidationError)
    assert dict(tally.statuses) == {"none": 1}


@pytest.mark.anyio
async def test_a_redirect_is_not_followed() -> None:
    """The credential would go along (our choice)."""
    error, _, _ = await looked(b"", status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")
    assert isinstance(error, errors.RedirectError)


@pytest.mark.anyio
@pytest.mark.parametrize(("header", "seconds"), [("retry-after: 7\r\n", 7.0), ("Retry-After: soon\r\n", None)])
async def test_how_long_contit_wants_to_be_left_alone_is_read(header: str, seconds: float | None) -> None:
    """In whatever case its name is written (RFC 9110)."""
    error, _, _ = await looked(b"", status="429 Too Many Requests", headers=header)
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after == seconds


@pytest.mark.anyio
async def test_after_a_refusal_the_request_goes_once_more_with_another_token() -> None:
    """The whole of it, and both are counted (our choice)."""
    tally = start_tally()

    async def behave(connection: Connection) -> None:
        while True:
            request = await connection.request()
            if b"Bearer old" in request:
                await connection.answer(b"", status="401 Unauthorized")
            else:
                await connection.answer(b'{"threadId": "t", "runId": "r"}')

    with anyio.fail_after(10):
        async with raw_server(behave) as server, build_http_client(f"http://127.0.0.1:{server.port}") as http:
            assert (await start(ContitClient(http, auth=RenewedToken(), retry=ONCE))).run_id == "r"
    bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
    assert bodies == [b'{"threadId":null,"prompt":"What is new?"}'] * 2
    assert (tally.requests, dict(tally.statuses)) == (2, {"401": 1, "200": 1})


@pytest.mark.anyio
async def test_a_client_that_is_closed_sends_nothing_more() -> None:
    """And opens nothing that nobody would close (our choice)."""
    http = build_http_client("http://127.0.0.1:1")
    await http.aclose()
    with pytest.raises(errors.APIConnectionError) as caught:
        await start(ContitClient(http, retry=ONCE))
    assert not caught.value.may_have_arrived
