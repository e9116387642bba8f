"""Each credential is in its header only, and follows its file. Virtual time."""

import base64
import io
import logging
from pathlib import Path

import httpx
import pytest

from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth
from contit_mcp.errors import ConfigurationError
from tests.contit.upstream import START_OK, contit_client, scripted, start
from tests.echo_contit import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", [APIKeyAuth, AccessTokenAuth])]

Kind = type[APIKeyAuth | AccessTokenAuth]
SECRET = "ctpat_Very-Secret+Value/42="
HEADERS = {APIKeyAuth: ("x-api-key", SECRET), AccessTokenAuth: ("authorization", f"Bearer {SECRET}")}


def everywhere_but(request: httpx.Request, header: str) -> str:
    """All of a request as text, without one header."""
    headers = {name: value for name, value in request.headers.items() if name != header}
    return f"{request.method} {request.url!r} {request.url} {headers} {request.content!r} {request.extensions}"


async def test_a_credential_is_in_its_documented_header_and_nowhere_else(kind: Kind, logged: io.StringIO) -> None:
    header, value = HEADERS[kind]
    body = {"threadId": "t", "runId": "r", "status": "completed", "response": "a"}
    upstream, auth = scripted(Reply(503), Reply(body=body)), kind(SecretValue("CONTIT_API_KEY", value=SECRET))
    client = contit_client(upstream, auth=auth)
    await start(client, thread_id="a-thread-of-somebody")
    await client.run_status("t", "r")
    await client.thread_response("t")
    assert len(upstream.received) == 4
    for request in upstream.received:
        assert request.headers.get_list(header) == [value]
        assert SECRET not in everywhere_but(request, header)
        assert {"x-api-key", "authorization"} & set(request.headers) == {header}
    assert SECRET not in f"{auth} {auth!r} {vars(auth)}"
    assert auth.identity().endswith(f":{SECRET}")
    assert "upstream.retry" in logged.getvalue()
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)  # it logs every address
    encoded = base64.b64encode(SECRET.encode()).decode()
    for hidden in (SECRET, encoded, "a-thread-of-somebody", "contit.test", "What is"):
        assert hidden not in logged.getvalue()


async def test_a_changed_file_is_used_for_the_next_request(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-secret\n")
    auth = kind(SecretValue("CONTIT_API_KEY", file=file))
    upstream = scripted(START_OK)
    client = contit_client(upstream, auth=auth)
    await start(client)
    file.write_text("other-secret\n")
    await start(client)
    sent = [request.headers[HEADERS[kind][0]].split()[-1] for request in upstream.received]
    assert sent == ["first-secret", "other-secret"]
    assert auth.identity().endswith(":other-secret")


@pytest.mark.parametrize(
    "secret",
    ["two\nlines", "two\r\nX-Evil: 1", "nul\x00", "ünicode", " blank", "blank ", "del\x7f", "zero\u200b", "odd\udcff", ""],
)  # fmt: skip
async def test_a_credential_that_no_header_can_carry_is_named_without_its_value(kind: Kind, secret: str) -> None:
    upstream, auth = scripted(START_OK), kind(SecretValue("CONTIT_API_KEY", value=secret))
    with pytest.raises(ConfigurationError):
        auth.identity()
    with pytest.raises(ConfigurationError) as caught:
        await start(contit_client(upstream, auth=auth))
    assert upstream.received == []
    assert caught.value.message.startswith("CONTIT_API_KEY ")
    assert not secret or secret not in f"{caught.value!r}{caught.value.message}{caught.value.hint}"
