"""Each credential is in its header only, and follows its file. Virtual time."""

import base64
import io
import logging
from pathlib import Path

import httpx
import pytest

from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth, Credential
from contit_mcp.errors import ConfigurationError
from tests.contit.upstream import START_OK, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = pytest.mark.anyio

SECRET = "ctpat_Very-Secret+Value/42="
HEADERS = {APIKeyAuth: ("X-Api-Key", SECRET), AccessTokenAuth: ("Authorization", f"Bearer {SECRET}")}


def everywhere_but(request: httpx.Request, header: str) -> str:
    """All of a request as text, without one header."""
    headers = {name: value for name, value in request.headers.items() if name != header.lower()}
    return f"{request.method} {request.url!r} {request.url} {headers} {request.content!r} {request.extensions}"


@pytest.mark.parametrize("kind", HEADERS)
async def test_a_credential_stands_in_its_header_and_nowhere_else(
    kind: type[APIKeyAuth | AccessTokenAuth], logged: io.StringIO
) -> None:
    """`X-Api-Key: …`, or `Authorization: Bearer …` (documented); never in the address."""
    header, value = HEADERS[kind]
    upstream = scripted(START_OK, Reply(body={"status": "completed"}), Reply(body={"response": "a"}))
    client = contit_client(upstream, auth=kind(SecretValue("CONTIT_API_KEY", value=SECRET)))
    await start(client)
    await client.run_status("t", "r")
    await client.thread_response("t")
    assert len(upstream.received) == 3
    for request in upstream.received:
        assert request.headers.get_list(header) == [value]
        assert SECRET not in everywhere_but(request, header)
        assert {"x-api-key", "authorization"} & set(request.headers) == {header.lower()}
    assert SECRET not in logged.getvalue()


@pytest.mark.parametrize("kind", HEADERS)
async def test_a_changed_file_is_used_for_the_next_request(
    kind: type[APIKeyAuth | AccessTokenAuth], tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("first-secret\n")
    auth = kind(SecretValue("CONTIT_API_KEY", file=file))
    upstream = scripted(START_OK)
    client = contit_client(upstream, auth=auth)
    await start(client)
    file.write_text("second-and-longer-secret\n")
    await start(client)
    header = HEADERS[kind][0]
    assert [request.headers[header].split()[-1] for request in upstream.received] == [
        "first-secret",
        "second-and-longer-secret",
    ]
    assert auth.identity().endswith(":second-and-longer-secret")


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize(
    "secret",
    [
        "two\nlines",
        "two\r\nX-Evil: 1",
        "nul\x00",
        "ünicode-secret",
        "tab\tsecret",
        " blank-before",
        "blank-after ",
        "del\x7f",
        "zero\u200b",
        "undecodable\udcff",
        "",
    ],
)
async def test_a_credential_that_no_header_can_carry_is_named_without_its_value(
    kind: type[APIKeyAuth | AccessTokenAuth], secret: str
) -> None:
    upstream, auth = scripted(START_OK), kind(SecretValue("CONTIT_API_KEY", value=secret))
    with pytest.raises(ConfigurationError):
        auth.identity()
    with pytest.raises(ConfigurationError) as caught:
        await start(contit_client(upstream, auth=auth))
    assert upstream.received == []
    assert caught.value.message.startswith("CONTIT_API_KEY ")
    if secret:
        assert secret not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("kind", HEADERS)
async def test_a_credential_never_shows_its_secret(kind: type[APIKeyAuth | AccessTokenAuth]) -> None:
    auth: Credential = kind(SecretValue("CONTIT_API_KEY", value=SECRET))
    assert SECRET not in f"{auth} {auth!r} {vars(auth)}"
    assert auth.identity().endswith(f":{SECRET}")


async def test_httpx_logs_neither_addresses_nor_headers(logged: io.StringIO) -> None:
    upstream = scripted(Reply(503), START_OK)
    auth = APIKeyAuth(SecretValue("CONTIT_API_KEY", value=SECRET))
    await start(contit_client(upstream, auth=auth), thread_id="a-thread-of-somebody")
    text = logged.getvalue()
    assert "upstream.retry" in text
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
    for hidden in (
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        "a-thread-of-somebody",
        "contit.test",
        "What is",
    ):
        assert hidden not in text
