"""Requests that are too large, too deep, or none at all: a short answer each, and the server goes on."""

import gzip
import http.client
import json
import time
from collections.abc import Iterator

import pytest

from tests.children import INITIALIZE, JSON_RPC, Contit, Served, contit, rpc

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
    "10,000 headers": (HEAD + b"a: b\r\n" * 10_000 + b"\r\n", {400}),
    "100,000 headers": (HEAD + b"a: b\r\n" * 100_000 + b"\r\n", {0, 400}),
    "a header without end": (HEAD + b"a: " + b"b" * 20_000_000, {0, 400}),
    "a header's name without end": (HEAD + b"a" * 20_000_000, {400}),
    "a trailer without end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\na: " + b"b" * 20_000_000, {0, 400, 413}),
    "a target of 100 KB": (b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404}),
    "a target without end": (b"POST /" + b"a" * 20_000_000, {400}),
    "a target of other bytes": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    "another server as target": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404, 405}),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", {400}),
    "a length and chunks": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "a length of 100 digits": (HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n", {400}),
    "a length and no chunks": (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{}", {400}),
    "a length on a probe": (
        HEAD.replace(b"POST /mcp", b"GET /healthz")
        + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "a coding that is not known": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "a line folded": (HEAD + b"a: b\r\n c\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", {400}),
    "a WebSocket": (
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        {405},
    ),
    "a large body, declared": (HEAD + b"Content-Length: 3000000\r\n\r\n", {413}),
    "a large body, sent": (HEAD + b"Content-Length: 9000000\r\n\r\n" + b"a" * 9_000_000, {413}),
    "a large body, in chunks": (HEAD + chunked(100), {413}),
    "100,000 chunks": (HEAD + chunked(100_000, 1) + b"0\r\n\r\n", {400}),
}


@pytest.mark.parametrize("case", RAW)
def test_what_is_no_proper_request_is_refused_shortly(server: Served, case: str) -> None:
    """RFC 9112; RFC 9110 (413)."""
    data, statuses = RAW[case]
    status, _, body = server.raw(data)
    assert status in statuses
    assert len(body) < 300
    assert b"Traceback" not in body
    server.assert_unharmed()


def call_with(**members: object) -> bytes:
    """A call of a tool with these members changed."""
    return json.dumps(rpc("tools/call", {"name": "contit_status", "arguments": {}}) | members).encode()


BODIES: dict[str, tuple[bytes, str, int, object]] = {
    "nothing": (b"", "no_json", -32700, None),
    "half": (b"{", "no_json", -32700, None),
    "two messages": (call_with() * 2, "no_json", -32700, None),
    "other bytes": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', "no_json", -32700, None),
    "UTF-16": (json.dumps(INITIALIZE).encode("utf-16"), "no_json", -32700, None),
    "UTF-16 without a mark": (json.dumps(INITIALIZE).encode("utf-16-le"), "no_json", -32700, None),
    "a byte order mark": (b"\xef\xbb\xbf" + call_with(), "no_json", -32700, None),
    "a zero byte in a text": (call_with(method="a\0").replace(b"\\u0000", b"\0"), "no_json", -32700, None),
    "a number of 5,000 digits": (b'{"jsonrpc":"2.0","method":"ping","id":' + b"9" * 5_000 + b"}", "no_json", -32700, None),
    "a comment": (b"{} // no", "no_json", -32700, None),
    "half a surrogate pair": (call_with(params={"a": "\ud800"}), "no_json", -32700, None),
    "half a surrogate pair in a key": (call_with(params={"\udfff": 1}), "no_json", -32700, None),
    "half a surrogate pair as id": (call_with(id="\udc00"), "no_json", -32700, None),
    "surrogates in the wrong order": (call_with(params={"a": "\udc00\ud800"}), "no_json", -32700, None),
    "a batch": (json.dumps([INITIALIZE, INITIALIZE]).encode(), "batch", -32600, None),
    "a batch of one": (json.dumps([INITIALIZE]).encode(), "batch", -32600, None),
    "an empty batch": (b"[]", "batch", -32600, None),
    "a number": (b"5", "no_message", -32600, None),
    "a text": (b'"ping"', "no_message", -32600, None),
    "null": (b"null", "no_message", -32600, None),
    "no JSON-RPC": (b'{"a": 1}', "no_message", -32600, None),
    "an id and nothing else": (b'{"jsonrpc":"2.0","id":7}', "no_message", -32600, 7),
    "no version": (b'{"id":7,"method":"ping"}', "no_message", -32600, 7),
    "another version": (call_with(jsonrpc="1.0"), "no_message", -32600, 1),
    "a number as version": (call_with(jsonrpc=2.0), "no_message", -32600, 1),
    "a number as method": (call_with(method=5), "no_message", -32600, 1),
    "null as method": (call_with(method=None), "no_message", -32600, 1),
    "null as id": (call_with(id=None), "odd_id", -32600, None),
    "a fraction as id": (call_with(id=1.5), "odd_id", -32600, None),
    "a whole fraction as id": (call_with(id=1.0), "odd_id", -32600, None),
    "true as id": (call_with(id=True), "odd_id", -32600, None),
    "a list as id": (call_with(id=[1]), "odd_id", -32600, None),
    "an object as id": (call_with(id={}), "odd_id", -32600, None),
    "a list as params": (call_with(params=[1]), "no_message", -32600, 1),
    "a text as params": (call_with(params="a"), "no_message", -32600, 1),
    "10,000 lists": (b"[" * 10_000 + b"]" * 10_000, "no_json", -32700, None),
    "100,000 lists": (b"[" * 100_000, "large_json", -32600, None),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "no_json", -32700, None),
    "lists in an argument": (call_with(params={"a": json.loads("[" * 300 + "]" * 300)}), "no_json", -32700, None),
    "60,000 lists beside each other": (b"[" + b"[]," * 60_000 + b"1]", "large_json", -32600, None),
}  # fmt: skip


@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_message_is_answered_with_a_json_rpc_error(server: Served, case: str, era: str) -> None:
    """Every request that can be answered is answered, with its id if that can be read (JSON-RPC 2.0, 5)."""
    body, reason, code, request_id = BODIES[case]
    answer = server.http.post(server.url, content=body, headers=JSON_RPC | {"MCP-Protocol-Version": era})
    assert answer.status_code == 400
    assert len(answer.content) < 500
    found = answer.json()
    assert (found["jsonrpc"], found["id"]) == ("2.0", request_id)
    assert (found["error"]["code"], found["error"]["data"]) == (code, {"reason": reason})
    server.assert_unharmed()


@pytest.mark.parametrize(
    "request_id", [0, -1, 2**53, "", "a", "é", "😀", 10**2_000, "x" * 1_000, " ", "a://" * 60_000, "eyJ-" * 60_000]
)
def test_an_id_comes_back_as_it_was_sent_and_freezes_nothing(server: Served, request_id: str | int) -> None:
    """Whatever a client numbers its requests with."""
    began = time.monotonic()
    answer = server.post(rpc("ping") | {"id": request_id})
    assert answer.status_code == 200
    assert time.monotonic() - began < 2
    assert json.loads(answer.text.partition("data: ")[2])["id"] == request_id


def test_a_response_is_taken_and_a_notification_is_not_answered(server: Served) -> None:
    """This server asks nothing, but clients of the older era may post both (MCP 2025-06-18, transports)."""
    for message in (
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ):
        answer = server.post(message)
        assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize("version", ["2023-01-01", "2030-12-31", "1.0", "x", "2025-06-18, 2025-06-18"])
def test_an_unknown_protocol_version_is_named(server: Served, version: str) -> None:
    """In the header of a request of either era (MCP 2025-06-18, transports)."""
    answer = server.post(rpc("tools/list"), MCP_Protocol_Version=version)
    assert answer.status_code == 400
    assert version in answer.text
    assert "ersion" in answer.json()["error"]["message"]


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


@pytest.mark.parametrize(
    "prompt", ["[" * 32_000, "[" * 5_000 + '\\" {' * 2_000, "{}" * 16_000, "\u2028" * 31_000 + "?"]
)
def test_brackets_in_a_text_are_a_text(server: Served, prompt: str) -> None:
    """The longest prompt may consist of them."""
    result = server.call("contit_ask", {"prompt": prompt})
    assert result["structuredContent"]["status"] == "completed"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "application/json, text/html"]
)
@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
def test_what_a_form_can_send_is_no_json(server: Served, kind: str, era: str) -> None:
    """Another page can post these without a preflight (documented: Fetch, "CORS-safelisted request-header")."""
    answer = server.post(INITIALIZE, Content_Type=kind, MCP_Protocol_Version=era)
    assert answer.status_code == 415
    assert answer.json()["error"]["data"] == {"reason": "no_json"}


@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
@pytest.mark.parametrize("kind", ["APPLICATION/JSON", "Application/Json; Charset=UTF-8", "application/json;x=y"])
def test_media_types_ignore_case(server: Served, kind: str, era: str) -> None:
    """RFC 9110, 8.3.1."""
    accept = "Application/JSON, TEXT/event-stream;q=0.5"
    answer = server.post(rpc("ping"), Content_Type=kind, Accept=accept)
    assert answer.status_code == 200, era


@pytest.mark.parametrize("era", ["2025-06-18", "2026-07-28"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "text/html", "application/xml, image/*"])
def test_a_client_that_cannot_read_the_answer_is_told_what_to_accept(server: Served, accept: str, era: str) -> None:
    """With a reason in both eras."""
    answer = server.post(rpc("ping"), Accept=accept, MCP_Protocol_Version=era)
    assert answer.status_code == 406
    assert "Accept: application/json, text/event-stream" in answer.json()["error"]["message"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "x-unknown", "gzip, identity"])
def test_a_compressed_request_is_415(server: Served, coding: str) -> None:
    """It would not be JSON to any parser, and says which codings are taken (RFC 9110, 15.5.16)."""
    answer = server.http.post(server.url, content=gzip.compress(b"{}"), headers=JSON_RPC | {"Content-Encoding": coding})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert answer.json()["error"]["data"] == {"reason": "compressed"}
    assert server.post(rpc("ping"), Content_Encoding="Identity").status_code == 200


def test_an_upgrade_that_is_not_taken_loses_nothing_of_the_request(server: Served) -> None:
    """Some clients offer HTTP/2 in each request (RFC 9110, 7.8)."""
    body = json.dumps(INITIALIZE).encode()
    offer = b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    status, _, answer = server.raw(HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (status, b"serverInfo" in answer) == (200, True)


@pytest.mark.parametrize(
    "trailer", [b"Host: evil.example", b"Origin: https://evil.example", b"Content-Type: text/plain"]
)
def test_trailers_are_not_headers(server: Served, trailer: bytes) -> None:
    """A gateway that checks headers does not see them (RFC 9110, 6.5.1)."""
    body = json.dumps(INITIALIZE).encode()
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailer + b"\r\n\r\n"
    status, _, _ = server.raw(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert status == 200
    head = HEAD.replace(b"Host: localhost\r\n", b"")
    status, _, _ = server.raw(
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks.replace(trailer, b"Host: localhost")
    )
    assert status == 400, "a Host in a trailer is no Host"


def test_a_request_with_two_lengths_ends_its_connection(server: Served) -> None:
    """A proxy that goes by the other length would take the second request for the body of the first."""
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    first = HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(smuggled))
    status, headers, body = server.raw(first + smuggled)
    assert (status, headers["connection"]) == (400, "close")
    assert b"contit_mcp_" not in body


@pytest.mark.parametrize("size", [300_000, 5 * 1_048_576])
def test_ordinary_clients_can_read_that_their_body_is_too_large(server: Served, size: int) -> None:
    """They send everything before they read; a connection closed meanwhile looks like a broken server."""
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", "/mcp", b"x" * size, JSON_RPC)
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"larger than 262144 bytes" in answer.read()
        connection.close()
    assert server.http.post(server.url, content=b"x" * size, headers=JSON_RPC).status_code == 413


def test_a_client_that_asks_first_is_refused_before_it_sends_a_large_body(server: Served) -> None:
    """With `Expect: 100-continue`, as curl does (RFC 9110, 10.1.1)."""
    began = time.monotonic()
    status, headers, _ = server.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n")
    assert (status, headers["connection"]) == (413, "close")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/"])
def test_other_methods_are_not_allowed(server: Served, method: str, path: str) -> None:
    """There are no sessions to end and no stream to listen to (MCP transports); Allow says what is (RFC 9110)."""
    answer = server.http.request(method, server.url + path, headers=JSON_RPC, timeout=5)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_slash_at_the_end_makes_no_difference(server: Served) -> None:
    """Some hosts add it."""
    answer = server.post(INITIALIZE, url=server.url + "/")
    assert (answer.status_code, "serverInfo" in answer.text) == (200, True)
    assert server.last("http.request")["path"] == "/mcp"


@pytest.mark.parametrize("path", ["/sse", "/sse/", "/messages/?session_id=1", "/message"])
def test_a_host_of_the_older_transport_is_told_which_one_is_served(server: Served, path: str) -> None:
    """HTTP+SSE of 2024-11-05 has other addresses."""
    for answer in (server.http.get(server.base + path), server.post(INITIALIZE, url=server.base + path)):
        assert answer.status_code == 404
        assert "Streamable HTTP" in answer.json()["error_description"]
        assert "HTTP+SSE" in answer.json()["error_description"]


@pytest.mark.parametrize(
    "path", ["/", "/mcp//", "/MCP", "//mcp", "/mcp/x", "/mcp%2fx", "/mcp%2f%2f", "/healthz/", "/.env", "/docs"]
)
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
        assert "evil" not in json.dumps(refused)
    for thread_id in ("//evil.example/x", "http://evil.example", "../../x", "a@evil.example:80", "%2e%2e%2f", "a?b#c"):
        assert server.call("contit_status", {"thread_id": thread_id, "run_id": thread_id})["isError"]
    body = json.dumps(rpc("tools/call", {"name": "contit_ask", "arguments": {"prompt": "Any pages?"}})).encode()
    lines = HEAD.replace(b" /mcp", b" http://evil.example/mcp") + b"Connection: close\r\n"
    status, _, _ = server.raw(lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status == 404, "this server is no proxy, and its clients send paths"
    assert upstream.hosts == {upstream.url.removeprefix("http://")}
    assert all(seen.path.startswith("/ai-assistant/thread") for seen in upstream.record.requests)
