"""Requests that are too large, too deep, or none at all: a short answer each, and the server goes on."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.http.bodies import DEEPEST
from contit_mcp.http.bodies import _is_too_deep as is_too_deep
from tests.http.served import INITIALIZE, JSON_RPC, Contit, Served, contit, rpc

HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Contit]:
    """Where Contit is."""
    with contit() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Contit) -> Iterator[Served]:
    """A server without authentication: nothing of this is stopped by a missing token."""
    with Served({"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key"}) as server:
        yield server


def chunked(count: int, size: int = 65_536) -> bytes:
    """A body in chunks."""
    return b"Transfer-Encoding: chunked\r\n\r\n" + (b"%x\r\n" % size + b"a" * size + b"\r\n") * count


RAW: dict[str, tuple[bytes, set[int]]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    "half a line": (b"GET\r\n\r\n", {400}),
    "10,000 headers": (HEAD + b"a: b\r\n" * 10_000 + b"\r\n", {431}),
    "100,000 headers": (HEAD + b"a: b\r\n" * 100_000 + b"\r\n", {400}),
    "101 headers": (HEAD + b"a: b\r\n" * 101 + b"\r\n", {431}),
    "a header of 40 KB": (HEAD + b"a: " + b"b" * 40_000 + b"\r\n\r\n", {431}),
    "a header without end": (HEAD + b"a: " + b"b" * 20_000_000, {400}),
    "a header's name without end": (HEAD + b"a" * 20_000_000, {400}),
    "a trailer without end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\na: " + b"b" * 20_000_000, {400, 413}),
    "a target of 100 KB": (b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "a target without end": (b"POST /" + b"a" * 20_000_000, {400}),
    "a target of other bytes": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "another server as target": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", {400}),
    "a length and chunks": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "a length of 100 digits": (HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n", {400}),
    "a line folded": (HEAD + b"a: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", {400}),
    "a WebSocket": (
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        {406},
    ),
    "a large body, declared": (HEAD + b"Content-Length: 3000000\r\n\r\n", {413}),
    "a large body, sent": (HEAD + b"Content-Length: 9000000\r\n\r\n" + b"a" * 9_000_000, {413}),
    "a large body, in chunks": (HEAD + chunked(100), {413}),
    "100,000 chunks": (HEAD + chunked(100_000, 1) + b"0\r\n\r\n", {400}),
}


@pytest.mark.parametrize("case", RAW)
def test_what_is_no_proper_request_is_refused_shortly(server: Served, case: str) -> None:
    """Documented: RFC 9112, RFC 6585 (431), RFC 9110 (413); the limits are our choice."""
    data, statuses = RAW[case]
    status, _, body = server.raw(data)
    assert status in statuses
    assert len(body) < 300
    assert b"Traceback" not in body
    server.assert_unharmed()


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", ""),
    "half": (b"{", ""),
    "a batch": (json.dumps([INITIALIZE, INITIALIZE]).encode(), ""),
    "an empty batch": (b"[]", ""),
    "a number": (b"5", ""),
    "null": (b"null", ""),
    "no JSON-RPC": (b'{"a": 1}', ""),
    "other bytes": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', "no_utf8"),
    "UTF-16": (json.dumps(INITIALIZE).encode("utf-16"), "no_utf8"),
    "10,000 lists": (b"[" * 10_000 + b"]" * 10_000, "deep_body"),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "deep_body"),
    "lists in an argument": (
        json.dumps(rpc("tools/call", {"name": "contit_ask", "arguments": {"prompt": json.loads("[" * 100 + "]" * 100)}})).encode(),
        "deep_body",
    ),
    "depth behind a text's end": (rb'{"a":"\\","b":' + b"[" * 1_000 + b"]" * 1_000 + b"}", "deep_body"),
    "a number of 5,000 digits": (b'{"jsonrpc":"2.0","method":"ping","id":' + b"9" * 5_000 + b"}", ""),
}  # fmt: skip


@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_message_is_a_400(server: Served, case: str, era: str) -> None:
    """Batches too (documented: MCP 2025-06-18, changelog); depth and encoding before any parser sees them."""
    body, reason = BODIES[case]
    answer = server.http.post(server.url, content=body, headers=JSON_RPC | {"MCP-Protocol-Version": era})
    assert answer.status_code == 400
    assert len(answer.content) < 3_000
    found = answer.json()["error"]
    assert found == reason if reason else isinstance(found, dict)
    server.assert_unharmed()


def test_spaces_around_a_header_are_no_part_of_it(server: Served) -> None:
    """Documented: RFC 9110, 5.5. The fast parser leaves those at the end; the conformance suite sends them."""
    body = json.dumps(INITIALIZE).encode()
    head = (
        b"POST /mcp HTTP/1.1\r\nHost: \t localhost \t\r\nContent-Type: application/json \r\nAccept: */* \r\n"
        b"Origin: http://localhost \r\nMcp-Protocol-Version: 2025-06-18 \t \r\nConnection: close \r\n"
    )
    status, _, answer = server.raw(head + b"Content-Length: %d \r\n\r\n" % len(body) + body)
    assert status == 200, answer
    assert b"serverInfo" in answer


def test_brackets_in_a_text_are_a_text(server: Served) -> None:
    """A prompt may hold any."""
    prompt = "[" * 5_000 + '\\" {' * 2_000
    result = server.call("contit_ask", {"prompt": prompt})
    assert result["structuredContent"]["status"] == "completed"


DEEP = st.recursive(st.none() | st.text('[]{}"\\ x'), lambda inner: st.lists(inner, max_size=3), max_leaves=20)


def depth(value: object) -> int:
    """How many lists are within each other."""
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(DEEP, st.integers(0, DEEPEST + 5))
def test_depth_is_counted_outside_texts_alone(value: object, more: int) -> None:
    """Against the parsed value."""
    for _ in range(more):
        value = [value]
    filler = ["]"] * DEEPEST  # so that the count of brackets alone decides nothing
    body = json.dumps([value, *([[]] * DEEPEST), *filler]).encode()
    assert is_too_deep(body) == (1 + max(1, depth(value)) > DEEPEST)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "application/json, text/html"]
)
@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
def test_what_a_form_can_send_is_no_json(server: Served, kind: str, era: str) -> None:
    """Another page can post these without a preflight (documented: Fetch, "CORS-safelisted request-header")."""
    answer = server.post(INITIALIZE, Content_Type=kind, MCP_Protocol_Version=era)
    assert answer.status_code == 415
    assert answer.json()["error"] == "no_json"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "HEAD"])
def test_other_methods_are_not_allowed(server: Served, method: str) -> None:
    """Sessions there are none to end (documented: MCP transports)."""
    assert server.http.request(method, server.url, headers=JSON_RPC).status_code == 405


@pytest.mark.parametrize("path", ["/", "/mcp/", "/MCP", "//mcp", "/mcp/x", "/mcp%2f", "/healthz/", "/.env", "/docs"])
def test_other_paths_are_not_found_and_lead_nowhere(server: Served, path: str) -> None:
    """A redirect behind a proxy would go from https to http, or to a Host of the caller's choice."""
    for answer in (server.post(INITIALIZE, url=server.base + path), server.http.get(server.base + path)):
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"
        assert "location" not in answer.headers


ELSEWHERE = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Original-Url": "http://evil.example/",
    "Forwarded": "host=evil.example",
    "X-Contit-Base-Url": "http://evil.example",
}


def test_nothing_in_a_request_changes_where_contit_is_asked(server: Served, upstream: Contit) -> None:
    """The upstream URL is the operator's alone."""
    server.call("contit_ask", {"prompt": "How many articles?"}, **ELSEWHERE)
    for name in ("base_url", "CONTIT_BASE_URL", "url", "host"):
        refused = server.call("contit_ask", {"prompt": "Any drafts?", name: "http://evil.example"}, **ELSEWHERE)
        assert refused["isError"]
        assert "evil" not in json.dumps(refused)
    for thread_id in ("//evil.example/x", "http://evil.example", "../../x", "a@evil.example:80", "%2e%2e%2f", "a?b#c"):
        assert server.call("contit_status", {"thread_id": thread_id, "run_id": thread_id})["isError"]
    body = json.dumps(rpc("tools/call", {"name": "contit_ask", "arguments": {"prompt": "Any pages?"}})).encode()
    lines = HEAD.replace(b" /mcp", b" http://evil.example/mcp") + b"Connection: close\r\n"
    status, _, answer = server.raw(lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status == 200
    assert b'"completed"' in answer
    assert upstream.seen.hosts == {upstream.url.removeprefix("http://")}
    assert all(seen.path.startswith("/ai-assistant/thread") for seen in upstream.record.requests)
