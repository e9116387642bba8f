"""The sandbox against the vendor's reference page: its examples as they stand there, and that nothing breaks it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions

pytestmark = pytest.mark.anyio

KEY = {"X-Api-Key": "sandbox-key", "Content-Type": "application/json"}
ANSWER = (
    "I found 12 published articles from March 2026. Here are the most recent:\n\n1. **Breaking News** (March 15)\n"
    "2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
    "Would you like me to show more details about any of these?"
)


async def test_the_vendors_examples_hold_byte_for_byte() -> None:
    ids = iter(["abc123def456ghi789", "xyz789abc123def456"])
    app = create_sandbox(SandboxOptions(run_seconds=2), clock=anyio.current_time, new_id=lambda: next(ids))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=KEY) as http:
        request = b'{\n  "threadId": null,\n  "prompt": "List all published articles from March 2026"\n}'
        started = await http.post("/ai-assistant/thread", content=request)
        assert started.text == '{"threadId":"thread_abc123def456ghi789","runId":"run_xyz789abc123def456"}'
        await anyio.sleep(2)
        status = await http.get("/ai-assistant/thread/thread_abc123def456ghi789/run/run_xyz789abc123def456/status")
        assert status.text == '{"status":"completed"}'
        response = await http.get("/ai-assistant/thread/thread_abc123def456ghi789/response")
        assert response.json() == {"response": ANSWER}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SEGMENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(lambda text: quote(text, safe=""))
BODY: st.SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {}, optional={"threadId": JSON | st.just("thread_1"), "prompt": JSON | st.text(max_size=400), "x": JSON}
    ).map(lambda value: json.dumps(value).encode()),
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    path=st.one_of(
        st.sampled_from(["/ai-assistant/thread", "/connect/token", "/"]),
        st.tuples(SEGMENT, SEGMENT).map(lambda ids: f"/ai-assistant/thread/{ids[0]}/run/{ids[1]}/status"),
        SEGMENT.map(lambda thread: f"/ai-assistant/thread/{thread}/response"),
        SEGMENT.map(lambda segment: f"/{segment}"),
    ),
    headers=st.dictionaries(
        st.sampled_from(["X-Api-Key", "Authorization", "Content-Type", "Accept"]),
        st.sampled_from(["sandbox-key", "Bearer sandbox-key", "Basic x", "application/json", "text/html", "*/*", ""]),
    ),
    body=BODY,
)
def test_no_request_makes_a_fault_that_was_not_asked_for(
    method: str, path: str, headers: dict[str, str], body: bytes, send: Callable[..., httpx.Response]
) -> None:
    answered = send(method, path, headers=headers, content=body)
    assert answered.status_code < 500
    if answered.status_code == 200:
        assert path.startswith("/ai-assistant/") or path == "/connect/token"


@given(prompt=st.text(max_size=2_000))
def test_every_prompt_gets_an_answer(prompt: str, send: Callable[..., httpx.Response]) -> None:
    body = json.dumps({"threadId": None, "prompt": prompt}).encode()
    started = send("POST", "/ai-assistant/thread", headers=KEY, content=body)
    if not prompt.strip():
        assert started.status_code == 400
        return
    assert started.status_code == 200
    thread = started.json()["threadId"]
    assert send("GET", f"/ai-assistant/thread/{thread}/response", headers=KEY).json()["response"]


@pytest.fixture(scope="module")
def send() -> Callable[..., httpx.Response]:
    """One sandbox in memory for many requests, each in an event loop of its own."""
    app = create_sandbox(SandboxOptions(run_seconds=0))

    def send(method: str, path: str, **rest: Any) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
                return await http.request(method, path, **rest)

        return anyio.run(exchange)

    return send
