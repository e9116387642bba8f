"""Ids from outside: each is refused, or is one segment of the path that Contit sees."""

from urllib.parse import unquote_to_bytes

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp.contit.wire import check_id, id_problem, response_path, status_path
from contit_mcp.errors import InvalidArgumentError
from tests.contit.upstream import START_OK, contit_client, scripted, start
from tests.echo_contit import Reply

SENT_AS_ONE_SEGMENT = {
    "thread_abc123": b"thread_abc123",
    "../../workspace": b"..%2F..%2Fworkspace",
    "..\\..": b"..%5C..",
    "%2e%2e": b"%252e%252e",
    "...": b"...",
    ".. ": b"..%20",
    "a?b=c#d": b"a%3Fb%3Dc%23d",
    "a;b:c@d": b"a%3Bb%3Ac%40d",
    "https://evil.test": b"https%3A%2F%2Fevil.test",
    "//evil.test/x": b"%2F%2Fevil.test%2Fx",
    "ünï": b"%C3%BCn%C3%AF",
    "x" * 256: b"x" * 256,
    "字" * 256: b"%E5%AD%97" * 256,
}
REFUSED = {
    **dict.fromkeys(["", " ", "\t"], "is empty"),
    **dict.fromkeys([".", "..", "a\nb", "a\r\nX-Header: 1", "a\x00", "\x7f", "a\u2028"], "is not an id"),
    **dict.fromkeys(["a\u200bb", "a\u202eb", "\ud800", "a\udfffb"], "is not an id"),
    **dict.fromkeys(["x" * 257, "x" * 10_000], "is longer than 256 characters"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", SENT_AS_ONE_SEGMENT)
async def test_an_id_is_exactly_one_segment_of_the_path(identifier: str) -> None:
    upstream = scripted(Reply(body={"status": "completed", "response": "a"}))
    client = contit_client(upstream)
    await client.run_status(identifier, "run")
    await client.run_status("thread", identifier)
    await client.thread_response(identifier)
    assert upstream.hosts == {"contit.test"}
    segment = SENT_AS_ONE_SEGMENT[identifier]
    assert [request.url.raw_path for request in upstream.received] == [
        b"/ai-assistant/thread/" + segment + b"/run/run/status",
        b"/ai-assistant/thread/thread/run/" + segment + b"/status",
        b"/ai-assistant/thread/" + segment + b"/response",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", REFUSED)
async def test_what_cannot_be_an_id_is_refused_before_any_request(identifier: str) -> None:
    upstream = scripted(START_OK)
    client = contit_client(upstream)
    for name, call in (
        ("thread_id", client.run_status(identifier, "run")),
        ("run_id", client.run_status("thread", identifier)),
        ("thread_id", client.thread_response(identifier)),
        ("thread_id", start(client, thread_id=identifier)),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            await call
        assert caught.value.message == f"{name} {REFUSED[identifier]}."
    assert upstream.received == []


@given(st.text(st.characters(exclude_categories=()), max_size=300))
@example("..")
@example("%2e%2e/")
@example("\ud83d\ude42")
def test_any_text_is_refused_or_one_segment_that_decodes_to_itself(identifier: str) -> None:
    try:
        paths = [status_path(identifier, "run"), status_path("thread", identifier), response_path(identifier)]
    except InvalidArgumentError:
        assert id_problem(identifier) is not None
        return
    assert check_id("thread_id", identifier) == identifier
    for path, position, count in zip(paths, (3, 5, 3), (7, 7, 5), strict=True):
        segments = httpx.URL(f"https://contit.test{path}").raw_path.split(b"/")
        assert len(segments) == count
        assert unquote_to_bytes(segments[position]).decode() == identifier
        assert segments[position] not in {b".", b".."}
        assert not set(segments[position]) & set(b"?#\\ ")
