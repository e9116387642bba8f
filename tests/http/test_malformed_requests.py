"""Malformed requests: each gets a short answer, and the server goes on."""

import gzip
import http.client
import json
import time
from typing import Any

import pytest

from tests.children import INITIALIZE, JSON_RPC, Contit, Served, rpc

HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ERAS = pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])


def chunks(count: int, size: int = 65_536) -> bytes:
    return CHUNKED + (b"%x\r\n" % size + b"a" * size + b"\r\n") * count


# The bytes that are sent, and the statuses that are right; 0 is a connection that was closed without an answer.
RAW: dict[str, tuple[bytes, set[int]]] = {
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    "a line without a target": (b"GET\r\n\r\n", {400}),
    "10,000 headers": (HEAD + b"a: b\r\n" * 10_000 + b"\r\n", {400}),
    "a header without end": (HEAD + b"a: " + b"b" * 20_000_000, {0, 400}),
    "a trailer without end": (HEAD + CHUNKED + b"0\r\na: " + b"b" * 20_000_000, {0, 400, 413}),
    "a target without end": (b"POST /" + b"a" * 20_000_000, {400}),
    "a target of other bytes": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "another server as target": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404, 405}),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", {400}),
    "chunks and a length": (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{}", {400}),
    "a length and chunks (probe)": (
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + CHUNKED + b"0\r\n\r\n", {400}),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "a length of 100 digits": (HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n", {400}),
    "an unknown coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "a line folded": (HEAD + b"a: b\r\n c\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", {400}),
    "a large body, declared": (HEAD + b"Content-Length: 3000000\r\n\r\n", {413}),
    "a large body, in chunks": (HEAD + chunks(100), {413}),
    "100,000 chunks": (HEAD + chunks(100_000, 1) + b"0\r\n\r\n", {400}),
    "no Host": (b"POST /mcp HTTP/1.1\r\n\r\n", {400}),
    "a Host in a trailer": (b"POST /mcp HTTP/1.1\r\n" + CHUNKED + b"0\r\nHost: localhost\r\n\r\n", {400}),
    "two Hosts": (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", {400}),
    "WebSocket": (b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", {405}),
    **{f"the Host {name!r}": (b"POST /mcp HTTP/1.1\r\nHost: " + name + b"\r\n\r\n", {421}) for name in (
        b"evil.example", b"localhost.evil.example", b"localhost@evil.example", b"localhost:\xb2", b"", b"localhost:",
        b"localhost:1:2", b"localhost:x", b"localhost:-1", b"localhost:123456", b"[::1]:1x",
    )},
    **{f"the Origin {origin!r}": (HEAD + b"Origin: " + origin + b"\r\n\r\n", {403}) for origin in (
        b"https://evil.example", b"null", b"", b"http://localhost.evil.example",
        b"http://localhost, https://evil.example", b"http://localhost\r\nOrigin: http://localhost",
    )},
}  # fmt: skip


@pytest.mark.parametrize("case", RAW)
def test_a_request_that_is_not_well_formed_or_not_allowed_gets_a_short_refusal(server: Served, case: str) -> None:
    """RFC 9112; RFC 9110 (413); MCP transports, "Security Warning" (DNS rebinding)."""
    data, statuses = RAW[case]
    status, _, body = server.raw(data)
    assert status in statuses
    assert len(body) < 300
    assert b"Traceback" not in body
    server.assert_unharmed()


def call_with(**members: object) -> bytes:
    return json.dumps(rpc("tools/call", {"name": "contit_status", "arguments": {}}) | members).encode()


NOT_JSON: tuple[bytes, ...] = (
    b"", b"{", call_with() * 2, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', json.dumps(INITIALIZE).encode("utf-16"),
    b"\xef\xbb\xbf" + call_with(), call_with(method="a\0").replace(b"\\u0000", b"\0"),
    b'{"jsonrpc":"2.0","method":"ping","id":' + b"9" * 5_000 + b"}",
    call_with(params={"a": "\ud800"}), call_with(params={"\udfff": 1}), call_with(id="\udc00"),
    b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    call_with(params={"a": json.loads("[" * 300 + "]" * 300)}),
)  # fmt: skip
NO_MESSAGE: tuple[tuple[bytes, object], ...] = (
    (b"5", None), (b"null", None), (b'{"a": 1}', None), (b'{"jsonrpc":"2.0","id":7}', 7), (call_with(jsonrpc=2.0), 1),
    (b'{"id":7,"method":"ping"}', 7), (call_with(method=5), 1), (call_with(method=None), 1), (call_with(method=[]), 1),
    (call_with(params=[1]), 1), (call_with(params="a"), 1),
)  # fmt: skip
ODD_IDS: tuple[object, ...] = (None, 1.5, 1.0, True, [1], {})
# The body; the reason, the code and the id of the error that it gets.
BODIES: dict[str, tuple[bytes, str, int, object]] = {
    **{f"no JSON {n}": (body, "no_json", -32700, None) for n, body in enumerate(NOT_JSON)},
    **{f"no message {n}": (body, "no_message", -32600, known) for n, (body, known) in enumerate(NO_MESSAGE)},
    **{f"{value} as id": (call_with(id=value), "odd_id", -32600, None) for value in ODD_IDS},
    "a batch": (json.dumps([INITIALIZE, INITIALIZE]).encode(), "batch", -32600, None),
    "an empty batch": (b"[]", "batch", -32600, None),
    "100,000 lists": (b"[" * 100_000, "large_json", -32600, None),
    "60,000 lists beside each other": (b"[" + b"[]," * 60_000 + b"1]", "large_json", -32600, None),
}


@ERAS
@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_message_is_answered_with_a_json_rpc_error(server: Served, case: str, era: str) -> None:
    """With its id if that can be read (JSON-RPC 2.0, 5)."""
    body, reason, code, request_id = BODIES[case]
    answer = server.http.post(server.url, content=body, headers=JSON_RPC | {"MCP-Protocol-Version": era})
    assert answer.status_code == 400
    assert len(answer.content) < 500
    found = answer.json()
    assert (found["jsonrpc"], found["id"]) == ("2.0", request_id)
    assert (found["error"]["code"], found["error"]["data"]) == (code, {"reason": reason})
    server.assert_unharmed()


@pytest.mark.parametrize("request_id", [0, -1, 2**53, "", "é", "😀", 10**2_000, " ", "a://" * 60_000, "eyJ-" * 60_000])
def test_an_id_comes_back_as_it_was_sent_and_freezes_nothing(server: Served, request_id: str | int) -> None:
    began = time.monotonic()
    answer = server.post(rpc("ping") | {"id": request_id})
    assert answer.status_code == 200
    assert time.monotonic() - began < 2
    assert json.loads(answer.text.partition("data: ")[2])["id"] == request_id


def test_a_response_and_a_notification_of_the_older_era_get_a_202(server: Served) -> None:
    """MCP 2025-06-18, transports."""
    for rest in ({"id": 1, "result": {}}, {"method": "notifications/initialized"}):
        answer = server.post({"jsonrpc": "2.0", **rest})
        assert (answer.status_code, answer.content) == (202, b"")


def test_the_longest_prompt_may_consist_of_brackets(server: Served) -> None:
    for prompt in ("[" * 32_000, "[" * 5_000 + '\\" {' * 2_000, "{}" * 16_000, "\u2028" * 31_000 + "?"):
        result = server.call("contit_ask", {"prompt": prompt})
        assert result["structuredContent"]["status"] == "completed"


# Headers, the status, and the reason of a refusal.
HEADERS: list[tuple[dict[str, str], int, str]] = [
    *(({"Content-Type": kind}, 415, "no_json") for kind in (
        "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "application/json, text/html",
    )),
    *(({"Accept": kinds}, 406, "not_acceptable") for kinds in (
        "application/json", "text/event-stream", "text/html", "application/xml, image/*",
    )),
    *(({"Content-Encoding": coding}, 415, "compressed") for coding in (
        "gzip", "deflate", "br", "zstd", "GZIP", "x-unknown", "gzip, identity",
    )),
    *(({"Content-Type": kind}, 200, "") for kind in (
        "APPLICATION/JSON", "Application/Json; Charset=UTF-8", "application/json;x=y",
    )),
    ({"Accept": "Application/JSON, TEXT/event-stream;q=0.5"}, 200, ""),
    ({"Content-Encoding": "Identity"}, 200, ""),
]  # fmt: skip


@ERAS
@pytest.mark.parametrize(("headers", "status", "reason"), HEADERS)
def test_the_body_must_be_plain_json_and_the_answer_may_be_json_or_a_stream(
    server: Served, headers: dict[str, str], status: int, reason: str, era: str
) -> None:
    """Media types ignore case (RFC 9110, 8.3.1). What a page's form can send without a preflight is refused (Fetch)."""
    content = gzip.compress(b"{}") if reason == "compressed" else json.dumps(rpc("ping")).encode()
    version = {"MCP-Protocol-Version": era} if status != 200 else {}
    answer = server.http.post(server.url, content=content, headers=JSON_RPC | version | headers)
    assert answer.status_code == status
    if reason:
        assert answer.json()["error"]["data"] == {"reason": reason}
    assert answer.headers.get("accept-encoding") == ("identity" if reason == "compressed" else None)


@pytest.mark.parametrize("version", ["2023-01-01", "2030-12-31", "1.0", "x", "2025-06-18, 2025-06-18"])
def test_an_unknown_protocol_version_is_named(server: Served, version: str) -> None:
    answer = server.post(rpc("tools/list"), MCP_Protocol_Version=version)
    assert (answer.status_code, version in answer.text) == (400, True)
    assert "ersion" in answer.json()["error"]["message"]


BODY = json.dumps(INITIALIZE).encode()
LENGTH = b"Content-Length: %d \r\nConnection: close \r\n\r\n" % len(BODY) + BODY
SERVED: dict[str, bytes] = {
    # RFC 9110, 5.5; the conformance suite sends them.
    "spaces around values": b"POST /mcp HTTP/1.1\r\nHost: \t localhost \t\r\nContent-Type: application/json \r\n"
    b"Accept: */* \r\nOrigin: http://localhost \r\nMcp-Protocol-Version: 2025-06-18 \t \r\n" + LENGTH,
    "a slash at the end of the path": HEAD.replace(b"/mcp", b"/mcp/") + LENGTH,
    # Some clients offer HTTP/2 in each request (RFC 9110, 7.8).
    "an upgrade that is not taken": HEAD + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n" + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    # A gateway that checks headers does not see trailers (RFC 9110, 6.5.1).
    **{f"a trailer {trailer.decode()}": HEAD + b"Connection: close\r\n" + CHUNKED + b"%x\r\n" % len(BODY) + BODY
       + b"\r\n0\r\n" + trailer + b"\r\n\r\n" for trailer in (
        b"Host: evil.example", b"Origin: https://evil.example", b"Content-Type: text/plain")},
}  # fmt: skip


@pytest.mark.parametrize("case", SERVED)
def test_an_odd_request_that_is_well_formed_is_served(server: Served, case: str) -> None:
    status, _, answer = server.raw(SERVED[case])
    assert (status, b"serverInfo" in answer) == (200, True)


def test_a_request_with_two_lengths_ends_its_connection(server: Served) -> None:
    """Request smuggling: a proxy that goes by the other length takes the second request for the body of the first."""
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    first = HEAD + b"Content-Length: %d\r\n" % (5 + len(smuggled)) + CHUNKED + b"0\r\n\r\n"
    status, headers, body = server.raw(first + smuggled)
    assert (status, headers["connection"]) == (400, "close")
    assert b"contit_mcp_" not in body


@pytest.mark.parametrize("size", [300_000, 5 * 1_048_576])
def test_a_client_that_sends_everything_first_can_read_that_its_body_is_too_large(server: Served, size: int) -> None:
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", "/mcp", b"x" * size, JSON_RPC)
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"larger than 262144 bytes" in answer.read()
        connection.close()


def test_a_client_that_expects_100_continue_is_refused_before_it_sends_a_large_body(server: Served) -> None:
    """As curl does (RFC 9110, 10.1.1)."""
    began = time.monotonic()
    status, headers, _ = server.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n")
    assert (status, headers["connection"]) == (413, "close")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/"])
def test_other_methods_are_not_allowed(server: Served, method: str, path: str) -> None:
    """There are no sessions to end and no stream to listen to (MCP transports)."""
    answer = server.http.request(method, server.url + path, headers=JSON_RPC, timeout=5)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


SSE_PATHS = ["/sse", "/sse/", "/messages/?session_id=1", "/message"]
OTHERS = ["/", "/mcp//", "/MCP", "//mcp", "/mcp/x", "/mcp%2fx", "/mcp%2f%2f", "/healthz/", "/.env", "/docs"]


@pytest.mark.parametrize("path", [*OTHERS, *SSE_PATHS])
def test_other_paths_are_not_found_and_not_redirected(server: Served, path: str) -> None:
    """Behind a proxy, a redirect would lead from https to http. The text says which transport is served."""
    for answer in (server.post(INITIALIZE, url=server.base + path), server.http.get(server.base + path)):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        assert "Streamable HTTP" in answer.json()["error_description"]
        assert ("HTTP+SSE" in answer.text) == (path in SSE_PATHS)
        assert "location" not in answer.headers


ELSEWHERE: dict[str, Any] = {
    "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Original-Url": "http://evil.example/",
    "Forwarded": "host=evil.example", "X-Contit-Base-Url": "http://evil.example",
}  # fmt: skip


def test_nothing_in_a_request_changes_where_contit_is_asked(server: Served, upstream: Contit) -> None:
    for name in ("base_url", "CONTIT_BASE_URL", "url", "host"):
        refused = server.call("contit_ask", {"prompt": "Any drafts?", name: "http://evil.example"}, **ELSEWHERE)
        assert "evil" not in json.dumps(refused)
    for thread_id in ("//evil.example/x", "http://evil.example", "../../x", "a@evil.example:80", "%2e%2e%2f", "a?b#c"):
        assert server.call("contit_status", {"thread_id": thread_id, "run_id": thread_id})["isError"]
    status, _, _ = server.raw(HEAD.replace(b" /mcp", b" http://evil.example/mcp") + LENGTH)
    assert status == 404, "this server is no proxy, and its clients send paths"
    assert upstream.hosts == {upstream.url.removeprefix("http://")}
    assert all(seen.path.startswith("/ai-assistant/thread") for seen in upstream.record.requests)
