"""`contit_mcp.create_server`: an MCP server for clients in the same process."""

from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import CallToolResult, PromptReference, ResourceTemplateReference, TextResourceContents

import contit_mcp
from contit_mcp.testing import RunningSandbox
from tests.server.stage import ERAS

pytestmark = pytest.mark.anyio

DRAFTS = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."


def server(sandbox: RunningSandbox, key: str = "anna-key", **options: Any) -> Any:
    return contit_mcp.create_server(api_key=key, base_url=sandbox.url, **{"store": "memory", **options})


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("contit_ask", {"prompt": DRAFTS, **arguments})
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result
    return dict(result.structured_content or {})


@pytest.mark.parametrize("era", ERAS)
async def test_it_offers_what_the_other_transports_offer(sandbox: RunningSandbox, era: Any) -> None:
    """Tools, prompts, resources, completion, and the extensions; errors as they are, without the SDK's prefix."""
    async with Client(server(sandbox), mode=era) as client:
        assert client.server_info is not None
        assert client.server_info.name == "contit-assistant"
        assert client.instructions
        assert client.server_capabilities.completions is not None
        if era == "auto":  # the older era has no extensions
            assert "io.modelcontextprotocol/tasks" in (client.server_capabilities.extensions or {})
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["contit_ask", "contit_start", "contit_status", "contit_response"]
        assert all(tool.output_schema and tool.annotations for tool in tools)
        found = await ask(client)
        assert found["response"] == ANSWER
        failed = await client.call_tool("contit_ask", {})
        assert isinstance(failed, CallToolResult)
        assert failed.is_error
        assert failed.content[0].text.startswith("prompt is required.")  # type: ignore[union-attr]
        uri = f"contit://runs/{found['thread_id']}/{found['run_id']}"
        assert uri in [str(resource.uri) for resource in (await client.list_resources()).resources]
        answer = TextResourceContents(uri=uri, text=ANSWER, mime_type="text/markdown")
        assert (await client.read_resource(uri)).contents == [answer]
        [template] = (await client.list_resource_templates()).resource_templates
        reference = ResourceTemplateReference(uri=template.uri_template)
        completed = await client.complete(reference, {"name": "thread_id", "value": "thread_"})
        assert completed.completion.values == [found["thread_id"]]
        prompt = (await client.list_prompts()).prompts[0]
        assert (await client.get_prompt(prompt.name, {"period": "last month"})).messages
        languages = await client.complete(PromptReference(name=prompt.name), {"name": "language", "value": ""})
        assert len(languages.completion.values) >= 2


async def test_clients_may_come_and_go(sandbox: RunningSandbox) -> None:
    """Connections are closed when the last of several clients has left, and made anew for the next."""
    made = server(sandbox)
    async with Client(made) as first:
        async with Client(made) as second:
            thread = (await ask(second))["thread_id"]
        assert (await ask(first, prompt="List them", thread_id=thread))["thread_id"] == thread
    async with Client(made) as third:
        assert (await ask(third, prompt="List them", thread_id=thread))["thread_id"] == thread


async def test_two_servers_with_different_credentials_do_not_affect_each_other(
    sandbox: RunningSandbox, tmp_path: object
) -> None:
    """They share a process, a store and a Contit; each caller sees its own runs, and a wrong key stops no other."""
    store = f"sqlite:{tmp_path}/runs.db"
    anna, ben, wrong = (server(sandbox, key, store=store) for key in ("anna-key", "ben-key", "wrong-key"))
    async with Client(anna) as of_anna, Client(ben) as of_ben, Client(wrong) as of_wrong:
        refused = await of_wrong.call_tool("contit_ask", {"prompt": DRAFTS})
        assert isinstance(refused, CallToolResult)
        assert refused.is_error
        found: list[dict[str, Any]] = []

        async def note(client: Client) -> None:
            found.append(await ask(client))

        async with anyio.create_task_group() as tasks:
            for client in (of_anna, of_ben, of_anna):
                tasks.start_soon(note, client)
        assert len({each["run_id"] for each in found}) == 2  # Anna's second question joins her first
        for client in (of_anna, of_ben):
            listed = (await client.list_resources()).resources
            assert len([each for each in listed if str(each.uri).startswith("contit://runs/")]) == 1
