"""Ids from outside: each is refused, or is one segment of the path that Contit sees."""

from urllib.parse import unquote_to_bytes

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp.contit.wire import check_id, id_problem, response_path, status_path
from contit_mcp.errors import InvalidArgumentError
from tests.contit.upstream import contit_client, scripted
from tests.echo_contit import Reply

SENT_AS_ONE_SEGMENT = {
    "thread_abc123": b"thread_abc123",
    "0b9ce0ba-7ad0-4d6c-9f3e-4c8d0e0f1a2b": b"0b9ce0ba-7ad0-4d6c-9f3e-4c8d0e0f1a2b",
    "a/b": b"a%2Fb",
    "../../workspace": b"..%2F..%2Fworkspace",
    "..\\..": b"..%5C..",
    "%2e%2e": b"%252e%252e",
    "%2E": b"%252E",
    "%": b"%25",
    "...": b"...",
    ".. ": b"..%20",
    "a?b=c": b"a%3Fb%3Dc",
    "a#b": b"a%23b",
    "a;b": b"a%3Bb",
    "a:b@c": b"a%3Ab%40c",
    "//evil.test/x": b"%2F%2Fevil.test%2Fx",
    "https://evil.test": b"https%3A%2F%2Fevil.test",
    "ünï": b"%C3%BCn%C3%AF",
    "漢字": b"%E6%BC%A2%E5%AD%97",
    "🙂": b"%F0%9F%99%82",
    "a b": b"a%20b",
    "x" * 256: b"x" * 256,
    "字" * 256: b"%E5%AD%97" * 256,
}

REFUSED = {
    "": "is empty",
    " ": "is empty",
    "\t": "is empty",
    ".": "is not an id",
    "..": "is not an id",
    "a\nb": "is not an id",
    "a\r\nX-Header: 1": "is not an id",
    "a\x00": "is not an id",
    "\x7f": "is not an id",
    "a\u2028": "is not an id",
    "a\u200bb": "is not an id",
    "a\u202eb": "is not an id",
    "\ud800": "is not an id",
    "a\udfffb": "is not an id",
    "x" * 257: "is longer than 256 characters",
    "x" * 10_000: "is longer than 256 characters",
}


async def raw_paths(identifier: str) -> list[bytes]:
    """The raw paths that Contit sees when `identifier` is a thread id, and a run id."""
    upstream = scripted(Reply(body={"status": "completed", "response": "a"}))
    client = contit_client(upstream)
    await client.run_status(identifier, "run")
    await client.run_status("thread", identifier)
    await client.thread_response(identifier)
    assert upstream.hosts == {"contit.test"}
    return [request.url.raw_path for request in upstream.received]


def paths_with(segment: bytes) -> list[bytes]:
    """What `raw_paths` gives when the id is sent as `segment`."""
    return [
        b"/ai-assistant/thread/" + segment + b"/run/run/status",
        b"/ai-assistant/thread/thread/run/" + segment + b"/status",
        b"/ai-assistant/thread/" + segment + b"/response",
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", SENT_AS_ONE_SEGMENT)
async def test_an_id_is_exactly_one_segment_of_the_path(identifier: str) -> None:
    assert await raw_paths(identifier) == paths_with(SENT_AS_ONE_SEGMENT[identifier])


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", REFUSED)
async def test_what_cannot_be_an_id_is_refused_before_any_request(identifier: str) -> None:
    upstream = scripted(Reply(body={"status": "completed", "response": "a"}))
    client = contit_client(upstream)
    for name, read in (
        ("thread_id", client.run_status(identifier, "run")),
        ("run_id", client.run_status("thread", identifier)),
        ("thread_id", client.thread_response(identifier)),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            await read
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
    client = httpx.AsyncClient(base_url="https://contit.test")
    for path, position, count in zip(paths, (3, 5, 3), (7, 7, 5), strict=True):
        segments = client.build_request("GET", path).url.raw_path.split(b"/")
        assert len(segments) == count
        assert unquote_to_bytes(segments[position]).decode() == identifier
        assert segments[position] not in {b".", b".."}
        assert not set(segments[position]) & set(b"?#\\ ")
