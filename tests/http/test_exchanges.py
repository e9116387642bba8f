"""Calls of the older era that are served as one exchange: to their clients they are what the SDK would have made of them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import SamplingMessage, TextContent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope
from structlog.testing import capture_logs

from contit_mcp.http.bodies import BodyLimits
from contit_mcp.http.exchanges import Exchanges
from tests.http.served import INFO, JSON_RPC, on_port, rpc

LEFT, GO_ON = threading.Event(), threading.Event()


async def linger() -> str:
    """Until it may go on, or nobody is there any more."""
    try:
        while not GO_ON.is_set():
            await anyio.sleep(0.01)
    except anyio.get_cancelled_exc_class():
        LEFT.set()
        raise
    return "at last"


def a_server() -> MCPServer:
    """One with tools that do what tools can do."""
    server = MCPServer("test")

    @server.tool()
    async def double(number: int) -> int:
        return number * 2

    @server.tool()
    async def count(ctx: Context[Any, Any]) -> str:
        for step in (1, 2):
            await ctx.report_progress(step, 2 if step == 2 else None, "è" if step == 2 else None)
        return "done"

    @server.tool()
    async def refuse() -> str:
        raise MCPError(code=-32042, message="no", data={"why": "è"})

    @server.tool()
    async def ask_back(ctx: Context[Any, Any]) -> str:
        question = SamplingMessage(role="user", content=TextContent(type="text", text="?"))
        return str(await ctx.session.create_message([question], max_tokens=1))

    @server.tool()
    async def lone_surrogate() -> str:
        return "\ud800"

    @server.tool()
    async def tell(letters: int) -> str:
        return "a" * letters

    server.tool()(linger)
    return server


@contextmanager
def at(way: Callable[[StreamableHTTPSessionManager], ASGIApp], *around: Middleware) -> Iterator[str]:
    """The server on a port, behind what is always before it; gives the address."""
    sessions = StreamableHTTPSessionManager(a_server()._lowlevel_server, stateless=True)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with sessions.run():
            yield

    routes = [Route("/mcp", BodyLimits(way(sessions), largest=10_000))]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=list(around))
    with on_port(app, lifespan="on") as url:
        yield f"{url}/mcp"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[str, str]]:
    """The SDK's way, and ours."""
    with at(lambda sessions: sessions.handle_request) as theirs, at(Exchanges) as ours:
        yield theirs, ours


def tool(name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """The call of a tool."""
    return rpc("tools/call", {"name": name, "arguments": arguments or {}}) | more


def seen(response: httpx.Response) -> tuple[int, dict[str, str], str]:
    """What a client has of it."""
    return response.status_code, {k: v for k, v in response.headers.items() if k != "date"}, response.text


def answers(both: tuple[str, ...], body: Any, **headers: str) -> list[tuple[int, dict[str, str], str]]:
    """What both make of a request."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [seen(httpx.post(url, content=content, headers=JSON_RPC | headers)) for url in both]


PROGRESS = rpc("tools/call", {"name": "count", "arguments": {}, "_meta": {"progressToken": "t"}})


@pytest.mark.parametrize(
    "body",
    [
        tool("double", {"number": 4}),
        tool("double", {"number": 4}, id="a name"),
        tool("double", {"number": "four"}),
        tool("nobody"),
        tool("count"),
        PROGRESS,
        tool("refuse"),
        tool("ask_back"),
        rpc("tools/call"),
        rpc("tools/call", {"name": 1}),
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call"},
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "double"}},
        tool("double", id=None),
        tool("double", id=1.5),
        tool("double", jsonrpc="1.0"),
        [tool("double", {"number": 4})],
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        rpc("initialize", INFO),
        rpc("tools/list"),
        rpc("ping"),
        rpc("nothing"),
        b"{",
        b"",
    ],
    ids=str,
)
def test_what_a_client_gets_is_what_the_sdk_would_have_sent(both: tuple[str, str], body: Any) -> None:
    """To the byte, headers included (our choice)."""
    theirs, ours = answers(both, body)
    assert ours == theirs


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"Accept": "text/event-stream"},
        {"Accept": "*/*"},
        {"Mcp-Protocol-Version": "2025-11-25"},
        {"Mcp-Protocol-Version": "2025-03-26"},
        {"Mcp-Protocol-Version": "2026-07-28"},
        {"Mcp-Protocol-Version": "rubbish"},
        {"Mcp-Session-Id": "made-up"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
    ],
    ids=str,
)
def test_headers_mean_the_same(both: tuple[str, str], headers: dict[str, str]) -> None:
    """Whichever way it takes (our choice)."""
    theirs, ours = answers(both, tool("double", {"number": 4}), **headers)
    assert ours == theirs


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
PARAMS = JSON | st.fixed_dictionaries(
    {"name": st.sampled_from(["double", "count"]) | JSON},
    optional={
        "arguments": JSON | st.fixed_dictionaries({"number": JSON}),
        "_meta": JSON | st.fixed_dictionaries({"progressToken": JSON}),
        "task": JSON,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | JSON, "method": st.just("tools/call") | JSON},
    optional={"id": st.integers(0, 9) | JSON, "params": PARAMS, "result": JSON, "error": JSON},
)


@settings(max_examples=150, deadline=None)
@given(body=MESSAGES)
def test_whatever_is_sent_is_taken_for_the_same(both: tuple[str, str], body: dict[str, Any]) -> None:
    """There is no message that one of both takes for a call and the other does not (our choice)."""
    theirs, ours = answers(both, body)
    assert ours == theirs


def test_a_silent_call_shows_signs_of_life_and_then_its_answer() -> None:
    """Proxies close what is silent (design.md, section 5)."""
    GO_ON.clear()
    with (
        at(lambda sessions: Exchanges(sessions, ping_seconds=0.05)) as url,
        httpx.stream("POST", url, json=tool("linger"), headers=JSON_RPC) as response,
    ):
        lines = response.iter_lines()
        assert [next(lines) for _ in range(4)] == [": ping", ""] * 2
        GO_ON.set()
        rest = [line for line in lines if line.startswith("data:")]
    assert len(rest) == 1
    assert json.loads(rest[0].removeprefix("data:"))["result"]["content"][0]["text"] == "at last"


def test_a_client_that_leaves_ends_its_call() -> None:
    """Nothing goes on for nobody (design.md, section 2, Cancel)."""
    GO_ON.clear()
    LEFT.clear()
    with at(Exchanges) as url:
        with httpx.stream("POST", url, json=tool("linger"), headers=JSON_RPC) as response:
            assert response.status_code == 200
        assert LEFT.wait(10)


@pytest.mark.anyio
async def test_a_client_is_looked_for_once_however_long_its_call_lasts() -> None:
    """With each look uvicorn reads more of what a client sends ahead, and keeps it (found in a review)."""
    GO_ON.clear()
    sessions = StreamableHTTPSessionManager(a_server()._lowlevel_server, stateless=True)
    headers = [(name.lower().encode(), value.encode()) for name, value in JSON_RPC.items()]
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    looks = 0
    sent: list[bytes] = []

    async def receive() -> Message:
        nonlocal looks
        looks += 1
        if looks > 1:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": json.dumps(tool("linger")).encode(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if len(sent) == 5:
            GO_ON.set()

    async with sessions.run():
        await Exchanges(sessions, ping_seconds=0.01)(scope, receive, send)
    assert sent[1:5] == [b": ping\r\n\r\n"] * 4
    assert looks == 2


def test_an_answer_that_is_no_text_is_a_fault_of_ours(both: tuple[str, str]) -> None:
    """The stream ends in order (found in a review)."""
    status, _, text = answers(both[1:], tool("lone_surrogate"))[0]
    assert (status, '"code":-32603,"message":"Internal error"' in text) == (200, True)


def test_a_fault_of_ours_is_told_without_its_words(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would send them; they may hold what nobody is to see (design.md, section 8)."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("MARKER")

    monkeypatch.setattr("contit_mcp.http.exchanges.serve_one", fail)
    with capture_logs() as lines:
        status, _, text = answers(both, tool("double"))[1]
    assert status == 200
    assert '"code":-32603,"message":"Internal error"' in text
    assert "MARKER" not in text
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["call.crashed"]
