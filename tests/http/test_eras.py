"""What a caller of either protocol era gets while it waits, and what happens when it closes its request."""

from itertools import product

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.host_waits import WaitPolicy, read_user_agent
from tests.children import ERAS, QUESTION, TOKEN_MODE, TOKENS, call, caller, deployment, messages_in, request_of

pytestmark = pytest.mark.anyio


async def test_a_closed_request_stops_our_polling_and_its_run_still_answers() -> None:
    async with deployment(SandboxOptions(run_seconds=4)) as (server, sandbox), caller() as http:
        for number, era in enumerate(ERAS, start=1):
            known = len(sandbox.requests)
            request = request_of(era, "contit_ask", {"prompt": f"{QUESTION} {era}"}, meta={"progressToken": "p"})
            async with http.stream("POST", server.url, **request) as response:
                assert response.status_code == 200
                while len(sandbox.requests) < known + 2:  # the start, and a poll
                    await anyio.sleep(0.02)
            line = (await server.logged("call.finished", number))[-1]
            assert (line["outcome"], line["run_id"]) == ("cancelled", sandbox.runs[-1].run_id)
        known = len(sandbox.requests)
        await anyio.sleep(1.5)
        assert len(sandbox.requests) == known
        metrics = await server.metrics()
        assert metrics["contit_mcp_callers_left_total"] == 2
        assert metrics["contit_mcp_calls_total{outcome=cancelled}{tool=contit_ask}"] == 2
        assert metrics["contit_mcp_calls_in_flight"] == 0
        for era, line in zip(ERAS, server.named("call.finished"), strict=True):
            ids = {"thread_id": line["thread_id"], "run_id": line["run_id"]}
            result = await call(http, server, "contit_response", era, **ids)
            assert result["structuredContent"]["status"] == "completed"
            assert "icons" not in str(result.get("_meta"))  # the client got the server's whole identity at discovery
    assert len(sandbox.runs) == 2
    assert not [line for line in server.lines if line["level"] != "info"]


async def test_progress_arrives_only_when_it_is_asked_for_and_no_message_holds_an_id_of_contit() -> None:
    options = SandboxOptions(run_seconds=0.6)
    async with deployment(options, **TOKEN_MODE) as (server, sandbox), caller(TOKENS["anna"]) as http:
        for era, token in product(ERAS, ("p", None)):
            meta = {"progressToken": token} if token else {}
            request = request_of(era, "contit_ask", {"prompt": f"{QUESTION} {era} {token}"}, meta=meta)
            response = await http.post(server.url, **request)
            *progress, _ = messages_in(response)
            seen = {(each["method"], each["params"]["progressToken"]) for each in progress}
            assert seen == ({("notifications/progress", "p")} if token else set())
            assert not [run for run in sandbox.runs if run.thread_id in response.text or run.run_id in response.text]


# A User-Agent, the name and version that are read from it, and the seconds that its calls wait.
AGENTS = [
    ("claude-code/2.1.330 (sdk-cli)", "claude-code", "2.1.330", 240),
    ("  Claude-Code/3", "Claude-Code", "3", 240),
    ("OurAgent/1.0", "OurAgent", "1.0", 45),
    # Libraries name no host; LlamaIndex, which uses one, stops at 30 s.
    ("node", "node", "", 25),  # Gemini CLI 0.61.0, and everything else on Node
    ("Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0", "Mozilla", "5.0", 25),
    ("Go-http-client/1.1", "Go-http-client", "1.1", 25),
    *((text, "", "", 25) for text in ("(nothing) but a comment", "", "é/1")),
]


@pytest.mark.parametrize(("text", "host", "version", "seconds"), AGENTS)
def test_a_user_agent_names_the_host_or_a_library(text: str, host: str, version: str, seconds: int) -> None:
    """In the older era over HTTP, nothing else names the host."""
    assert read_user_agent(text) == (host, version)
    assert WaitPolicy().seconds(None, host=host or None) == seconds


async def test_the_user_agent_names_the_host_in_the_older_era_and_client_info_in_the_newer() -> None:
    """The name chooses the wait, and is in the call's log line with the era."""
    async with deployment(SandboxOptions(run_seconds=60)) as (server, _):
        async with caller(**{"User-Agent": "codex-mcp-client/0.169.0 (linux)"}) as http:
            for era in ERAS:
                await call(http, server, "contit_start", era, prompt=QUESTION)
        lines = await server.logged("call.finished", 2)
    hosts = [(line["host"], line["host_version"]) for line in lines]
    assert hosts == [("codex-mcp-client", "0.169.0"), ("test-host", "1")]
    # A message without the header is taken for the revision that did not have it (documented: MCP, transports).
    assert [line["protocol"] for line in lines] == ["2025-03-26", "2026-07-28"]
