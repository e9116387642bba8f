"""The four tools as a model meets them, in both protocol eras."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import bpe_openai
import httpx
import pytest
from mcp.client import Client
from mcp_types import CallToolResult, TextContent, TextResourceContents

from contit_mcp.assistant.reports import RunReport
from contit_mcp.runs.record import Phase
from contit_mcp.server.results import answer_result
from contit_mcp.server.server import INSTRUCTIONS
from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import ERAS, WANTS_PROGRESS, call, connected, ids_of, settings

pytestmark = pytest.mark.anyio
SNAPSHOT = Path(__file__).parent / "tools.snapshot.json"


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def contit() -> EchoContit:
    return EchoContit()


@pytest.fixture
async def client(contit: EchoContit, era: str) -> AsyncIterator[Client]:
    async with connected(contit, era=era) as (client, _):
        yield client


# --- what is published


@pytest.mark.parametrize("more", [[], ["contit_probe"]])
async def test_the_published_tools_and_instructions_are_as_reviewed(era: str, more: list[str]) -> None:
    """They are an interface: a change shows in the diff of tools.snapshot.json. With --probe there is a fifth tool."""
    async with connected(EchoContit(), era=era, probe=bool(more)) as (client, _):
        tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools]
        assert client.instructions == INSTRUCTIONS
        capabilities = client.server_capabilities.model_dump(by_alias=True, exclude_none=True)
        info = client.server_info
    assert capabilities["tools"] == {"listChanged": False}
    assert capabilities["resources"] == {"subscribe": False, "listChanged": False}
    assert tools[:4] == json.loads(SNAPSHOT.read_text(encoding="utf-8")), "if it is meant: make snapshot"
    assert [tool["name"] for tool in tools[4:]] == more
    if era == "legacy":
        assert info is not None
        assert (info.name, info.title) == ("contit-assistant", "Contit Assistant")
        assert info.website_url == "https://www.contit.cloud"
        assert [icon.src.partition(",")[0] for icon in info.icons or []] == ["data:image/svg+xml;base64"]  # inline


def test_the_reviewed_texts_fit_every_host() -> None:
    """Hosts cut texts at 2,048 characters, Codex shows 247 of the instructions, and some hosts refuse type unions."""
    assert len(INSTRUCTIONS) < 2_048
    assert "contit_ask" in INSTRUCTIONS[:247]
    tools = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    shown = [{name: tool[name] for name in ("name", "description", "inputSchema")} for tool in tools]
    assert len(bpe_openai.get_encoding("o200k_base").encode(json.dumps(shown))) < 800
    for schema in (tool[name] for tool in tools for name in ("inputSchema", "outputSchema")):
        assert not any(f'"{word}"' in json.dumps(schema) for word in ("anyOf", "oneOf", "allOf", "$ref", "null"))
        assert schema["additionalProperties"] is False
        assert all(isinstance(field["type"], str) and field["description"] for field in schema["properties"].values())
    # Read-only, because Contit asks for its ReadAccess policy and nothing more (docs/contit-api.md).
    for tool in tools:
        assert len(tool["description"]) < 2_048
        assert tool["annotations"] == {
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": tool["name"] in {"contit_status", "contit_response"},
            "openWorldHint": True,
        }


# --- results


async def test_each_result_is_complete_in_its_text_and_in_its_structure(client: Client, contit: EchoContit) -> None:
    """Some hosts show their model only one of them; Codex shows the structure of an error as if it were a result."""
    prompt, ids = "Qualità? ✓ 日本", {"thread_id": "thread_1", "run_id": "run_2"}
    written = 'thread_id="thread_1", run_id="run_2"'
    contit.end_words["bad"] = "failed"
    structure, texts, is_error = await call(client, "contit_ask", {"prompt": prompt, "wait_seconds": 1})
    assert structure.items() >= ids.items()
    assert (structure["status"], is_error) == ("in_progress", False)
    assert structure["next_step"] == "Still running, not failed. Call contit_response with these ids; do not ask again."
    assert texts == [f"Still running, not failed. Call contit_response({written}). Do not ask again."]
    structure, texts, is_error = await call(client, "contit_response", ids)
    step = "For a follow-up, call contit_ask with this thread_id."
    assert structure.pop("elapsed_seconds") == pytest.approx(3.0, abs=1)
    assert structure == {"status": "completed", **ids, "response": answer_to(prompt), "next_step": step}
    follow_up = 'Follow-up: contit_ask(prompt=…, thread_id="thread_1"); this run: run_id="run_2"'
    assert (texts, is_error) == ([answer_to(prompt), follow_up], False)
    structure, texts, is_error = await call(client, "contit_ask", {"prompt": "bad", "thread_id": "thread_1"})
    assert (structure["status"], structure["run_id"], is_error) == ("failed", "run_3", True)
    assert texts == [f'{structure["error"]} {structure["next_step"]} (thread_id="thread_1", run_id="run_3")']
    assert len(structure["trace_id"]) == 32


async def test_a_busy_thread_names_its_run_and_is_not_called_failed(client: Client, contit: EchoContit) -> None:
    """Its status is that of the run that goes on."""
    contit.durations["long"] = 1_000
    on = {"thread_id": (await call(client, "contit_ask", {"prompt": "zero"}))[0]["thread_id"]}
    long, _, _ = await call(client, "contit_start", {"prompt": "long", **on})
    structure, _, is_error = await call(client, "contit_ask", {"prompt": "two", "wait_seconds": 2, **on})
    assert (structure["status"], structure["run_id"], is_error) == ("in_progress", long["run_id"], True)
    assert "busy" in structure["error"]


async def test_an_answer_that_is_returned_again_says_how_old_it_is(client: Client, contit: EchoContit) -> None:
    contit.seconds = 10
    await call(client, "contit_ask", {"prompt": "q"})
    structure, texts, _ = await call(client, "contit_ask", {"prompt": "q"})
    assert "seconds ago" in structure["next_step"]
    assert "seconds ago" in texts[1]
    assert contit.started("q") == 1


async def test_an_empty_answer_is_marked_as_empty(client: Client, contit: EchoContit) -> None:
    """An empty text block looks like a fault."""
    contit.instead("response", httpx.Response(200, json={"response": ""}))
    structure, texts, is_error = await call(client, "contit_ask", {"prompt": "q"})
    assert (structure["response"], structure["response_total"], is_error) == ("", 0, False)
    assert texts[0] == "(Contit's answer is empty.)"


# --- long answers


@pytest.mark.parametrize("paragraph", ["word " * 30, "x" * 150, "è✓日本🙂 " * 20])
async def test_the_parts_of_a_long_answer_join_to_the_whole(client: Client, contit: EchoContit, paragraph: str) -> None:
    """Each part ends at the end of a paragraph, and nothing above the limit is sent at once."""
    whole = "\n\n".join(f"{number}. {paragraph}" for number in range(4_000))[:580_000]
    contit.instead("response", *[httpx.Response(200, json={"response": whole})] * 2)
    structure, texts, _ = await call(client, "contit_ask", {"prompt": "q"})
    ids = ids_of(structure)
    parts = [structure["response"]]
    assert structure["response_total"] == len(whole)
    while (offset := structure.get("next_offset")) is not None:
        assert f"offset={offset}" in structure["next_step"]
        assert f"offset={offset})" in texts[1]
        (address,) = re.findall(r"contit://runs/\S+", structure["next_step"])
        (contents,) = (await client.read_resource(address)).contents
        assert isinstance(contents, TextResourceContents)
        assert contents.text == whole
        assert structure["response"].endswith("\n\n")
        structure, texts, is_error = await call(client, "contit_response", {**ids, "offset": offset})
        assert not is_error
        assert structure["response_offset"] == offset
        assert texts[0] == structure["response"]
        parts.append(structure["response"])
    assert "".join(parts) == whole
    assert all(len(part) <= 60_000 for part in parts)
    assert structure["next_step"] == "For a follow-up, call contit_ask with this thread_id."


async def test_an_offset_beyond_the_end_says_how_long_the_answer_is(client: Client) -> None:
    """The model can correct it in one step."""
    ids = ids_of((await call(client, "contit_ask", {"prompt": "q"}))[0])
    structure, _, is_error = await call(client, "contit_response", {**ids, "offset": 10_000})
    assert (structure["status"], is_error) == ("failed", True)
    assert f"the answer has {len(answer_to('q'))} characters" in structure["error"]
    assert structure["next_step"] == "Call again with a smaller offset."
    structure, _, is_error = await call(client, "contit_response", {**ids, "offset": -3})
    assert (structure["response"], is_error) == (answer_to("q"), False)


@pytest.mark.parametrize("phase", [Phase.IN_PROGRESS, Phase.COMPLETED])
async def test_a_retry_after_a_start_that_was_cut_off_says_that_it_may_run_twice(phase: Phase) -> None:
    """Text and structure both say so. Contit has no idempotency key."""
    result = answer_result(RunReport(phase, "thread_1", "run_2", response="a", maybe_twice=True), part_characters=100)
    assert isinstance(result.content[-1], TextContent)
    assert "may have run it twice" in result.content[-1].text
    assert "may have run it twice" in (result.structured_content or {})["next_step"]


# --- waits


@pytest.mark.parametrize(
    ("host", "operator", "wished", "waited"),
    [
        *((host, {}, None, 240) for host in ("claude-code", "codex-mcp-client", "gemini-cli-mcp-client")),
        ("inspector-cli", {}, None, 45),
        ("inspector-cli", {}, 200, 50),
        ("some-agent", {}, None, 45),
        ("some-agent", {}, 200, 200),
        ("some-agent", {}, 999, 240),
        ("some-agent", {}, "30", 30),
        ("some-agent", {}, "1e3", 240),
        ("mcp", {}, None, 25),
        ("claude-code", {}, 0, 0),
        ("claude-code", {}, -5, 0),
        ("claude-code", {"WAIT": "12", "MAX_WAIT": "100"}, None, 12),
        ("inspector-cli", {"WAIT": "12", "MAX_WAIT": "100"}, 70, 70),
        ("claude-code", {"WAIT": "12", "MAX_WAIT": "100"}, 230, 100),
        ("claude-code", {"WAIT": "600"}, None, 600),
    ],
)
async def test_the_wait_fits_the_host(
    contit: EchoContit, era: str, host: str, operator: dict[str, str], wished: object, waited: float
) -> None:
    """The host's name in clientInfo or the operator's setting decides; `wait_seconds` is clamped, never refused."""
    contit.seconds = 10_000
    configured = settings(**{f"CONTIT_MCP_{name}_SECONDS": value for name, value in operator.items()})
    async with connected(contit, era=era, host=host, configured=configured) as (client, _):
        began = anyio.current_time()
        structure, _, is_error = await call(client, "contit_ask", {"prompt": "q", "wait_seconds": wished})
    assert (structure["status"], is_error) == ("in_progress", False)
    assert anyio.current_time() - began == pytest.approx(waited, abs=0.01)


# --- contit_probe: how long a host lets a call take, measured by its user


@pytest.mark.parametrize(
    ("wished", "lasts", "progress", "messages"),
    [(35, 35.0, True, 4), (35, 35.0, False, 1), (10_000, 600.0, False, 1), (-1, 0.0, True, 1)],
)
async def test_the_probe_lasts_as_long_as_wished_and_at_most_ten_minutes(
    era: str, wished: int, lasts: float, progress: bool, messages: int
) -> None:
    """With progress or without it, since some hosts extend a call for progress. No request goes to Contit."""
    contit = EchoContit()
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    arguments = {"seconds": wished, "progress": progress}
    async with connected(contit, era=era, host="some-host", probe=True) as (client, _):
        began = anyio.current_time()
        result = await client.call_tool("contit_probe", arguments, progress_callback=on_progress, meta=WANTS_PROGRESS)
        assert anyio.current_time() - began == pytest.approx(lasts, abs=0.1)
    assert isinstance(result, CallToolResult)
    assert result.structured_content == {"status": "completed", "waited_seconds": lasts, "host": "some-host"}
    assert len(seen) == messages
    assert contit.requests == []
