"""What a caller of either protocol era gets while it waits, and what happens when it closes its request."""

from itertools import product

import anyio
import pytest

from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.server.host_waits import WaitPolicy, read_user_agent
from tests.children import (
    ERAS,
    QUESTION,
    TOKEN_MODE,
    TOKENS,
    call,
    caller,
    deployment,
    messages_in,
    polls,
    request_of,
    runs,
)

pytestmark = pytest.mark.anyio


async def test_a_closed_request_stops_our_polling_and_its_run_still_answers() -> None:
    """The run goes on upstream; one line and one metric say that its caller left."""
    async with deployment(SandboxOptions(run_seconds=4)) as (server, sandbox), caller() as http:
        for number, era in enumerate(ERAS, start=1):
            arguments = {"prompt": f"{QUESTION} {era}"}
            request = request_of(era, "contit_ask", arguments, meta={"progressToken": "p"})
            async with http.stream("POST", server.url, **request) as response:
                assert response.status_code == 200
                known = polls(sandbox)
                await runs(sandbox, number)
                while polls(sandbox) == known:
                    await anyio.sleep(0.02)
            line = (await server.logged("call.finished", number))[-1]
            assert (line["outcome"], line["run_id"]) == ("cancelled", sandbox.runs[-1].run_id)
        known = polls(sandbox)
        await anyio.sleep(1.5)
        assert polls(sandbox) == known
        metrics = await server.metrics()
        assert metrics["contit_mcp_callers_left_total"] == 2
        assert metrics["contit_mcp_calls_total{outcome=cancelled}{tool=contit_ask}"] == 2
        assert metrics["contit_mcp_calls_in_flight"] == 0
        for era, line in zip(ERAS, server.named("call.finished"), strict=True):
            ids = {"thread_id": line["thread_id"], "run_id": line["run_id"]}
            result = await call(http, server, "contit_response", era, **ids)
            assert result["structuredContent"]["status"] == "completed"
    assert len(sandbox.runs) == 2
    assert not [line for line in server.lines if line["level"] != "info"]


async def test_progress_arrives_when_it_is_asked_for_and_only_then_and_nothing_names_an_id_of_contit() -> None:
    async with (
        deployment(SandboxOptions(run_seconds=0.6), **TOKEN_MODE) as (server, sandbox),
        caller(TOKENS["anna"]) as http,
    ):
        for era, token in product(ERAS, ("p", None)):
            meta = {"progressToken": token} if token else {}
            response = await http.post(
                server.url, **request_of(era, "contit_ask", {"prompt": f"{QUESTION} {era} {token}"}, meta=meta)
            )
            *progress, _ = messages_in(response)
            assert {(each["method"], each["params"]["progressToken"]) for each in progress} == (
                {("notifications/progress", "p")} if token else set()
            )
            assert not [run for run in sandbox.runs if run.thread_id in response.text or run.run_id in response.text]


LIBRARY, UNKNOWN = 25, 45  # seconds: LlamaIndex stops at 30
AGENTS = [
    ("claude-code/2.1.330 (sdk-cli)", ("claude-code", "2.1.330"), 240),
    ("codex-mcp-client/0.169.0", ("codex-mcp-client", "0.169.0"), 240),
    ("  Claude-Code/3", ("Claude-Code", "3"), 240),
    ("node", ("node", ""), LIBRARY),  # Gemini CLI 0.61.0, and everything else on Node
    ("python-httpx/0.28.1", ("python-httpx", "0.28.1"), LIBRARY),
    ("Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0", ("Mozilla", "5.0"), LIBRARY),
    ("Python/3.11 aiohttp/3.13.0", ("Python", "3.11"), LIBRARY),
    ("Go-http-client/1.1", ("Go-http-client", "1.1"), LIBRARY),
    ("OurAgent/1.0", ("OurAgent", "1.0"), UNKNOWN),
    *((text, ("", ""), LIBRARY) for text in ("(nothing) but a comment", "", "é/1")),
]


@pytest.mark.parametrize(("text", "host", "seconds"), AGENTS)
def test_a_user_agent_says_who_waits_unless_it_names_a_library(text: str, host: tuple[str, str], seconds: int) -> None:
    """Of the older era over HTTP nothing else is known (seen: Claude Code, Codex, Gemini CLI, mcp)."""
    assert read_user_agent(text) == host
    assert WaitPolicy().seconds(None, host=host[0] or None) == seconds


async def test_the_user_agent_names_the_host_in_the_older_era_and_client_info_in_the_newer() -> None:
    """The name chooses the wait, and is in the call's log line with the era."""
    async with deployment(SandboxOptions(run_seconds=60)) as (server, _):
        async with caller(**{"User-Agent": "codex-mcp-client/0.169.0 (linux)"}) as http:
            for era in ERAS:
                await call(http, server, "contit_start", era, prompt=QUESTION)
        lines = await server.logged("call.finished", 2)
    hosts = [(line["host"], line["host_version"]) for line in lines]
    assert hosts == [("codex-mcp-client", "0.169.0"), ("test-host", "1")]
    # A message that names no revision is taken for the one before there was a header (documented: MCP, transports).
    assert [line["protocol"] for line in lines] == ["2025-03-26", "2026-07-28"]
