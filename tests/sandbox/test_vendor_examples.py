"""The sandbox against the vendor's reference page: its examples as they stand there, and that nothing breaks it."""

import json
import re
from urllib.parse import quote

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import SandboxOptions
from tests.sandbox.conftest import START

KEY = {"X-Api-Key": "sandbox-key", "Content-Type": "application/json"}
ANSWER = (
    "I found 12 published articles from March 2026. Here are the most recent:\n\n1. **Breaking News** (March 15)\n"
    "2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
    "Would you like me to show more details about any of these?"
)


@pytest.mark.anyio
async def test_the_vendors_examples_hold_byte_for_byte() -> None:
    app = create_sandbox(SandboxOptions(run_seconds=2), clock=anyio.current_time)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=KEY) as http:
        request = b'{\n  "threadId": null,\n  "prompt": "List all published articles from March 2026"\n}'
        started = await http.post(START, content=request)
        ids = re.fullmatch(r'\{"threadId":"(thread_[0-9a-f]+)","runId":"(run_[0-9a-f]+)"\}', started.text)
        assert ids
        await anyio.sleep(2)
        status = await http.get(f"{START}/{ids[1]}/run/{ids[2]}/status")
        assert status.text == '{"status":"completed"}'
        response = await http.get(f"{START}/{ids[1]}/response")
        assert response.json() == {"response": ANSWER}


APP = create_sandbox(SandboxOptions(run_seconds=0))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
STARTS = st.fixed_dictionaries({}, optional={"threadId": JSON | st.just("thread_1"), "prompt": JSON | st.text()})
SEGMENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(lambda text: quote(text, safe=""))
PATH = st.one_of(
    st.sampled_from([START, "/connect/token", "/sandbox", "/"]),
    st.builds(f"{START}/{{}}/run/{{}}/status".format, SEGMENT, SEGMENT),
    SEGMENT.map(f"{START}/{{}}/response".format),
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    path=PATH,
    headers=st.dictionaries(
        st.sampled_from(["X-Api-Key", "Authorization", "Content-Type", "Accept"]),
        st.sampled_from(["sandbox-key", "Bearer sandbox-key", "Basic x", "application/json", "text/html", "*/*", ""]),
    ),
    body=st.binary(max_size=200) | (JSON | STARTS).map(lambda value: json.dumps(value).encode()),
)
def test_no_request_makes_a_fault_that_was_not_ordered(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    async def sent() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://sandbox") as http:
            return (await http.request(method, path, headers=headers, content=body)).status_code

    assert anyio.run(sent) < 500
