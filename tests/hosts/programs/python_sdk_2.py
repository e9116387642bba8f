"""The client of the Python SDK 2.x, in the mode that is named: an ask and a follow-up, or what else it can do."""

import json
from typing import Any

import anyio
from given import GIVEN, readable
from mcp import MCPError
from mcp.client import Client
from mcp_types import PromptReference, ResourceTemplateReference
from through_sdk import transport


async def ask(client: Client) -> dict[str, Any]:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    first = await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
    arguments = {"prompt": GIVEN["follow_up"], "thread_id": first.structured_content["thread_id"]}
    return {"tools": tools, "results": readable(first, await client.call_tool("contit_ask", arguments))}


async def give_up_and_ask_again(client: Client) -> dict[str, Any]:
    first = "answered"
    try:
        await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
    except MCPError:
        first = "timed out"
    again = {"prompt": GIVEN["question"], "wait_seconds": 1}
    second = (await client.call_tool("contit_ask", again)).structured_content
    ids = {name: second[name] for name in ("thread_id", "run_id")}
    third = (await client.call_tool("contit_response", {**ids, "wait_seconds": 4})).structured_content
    return {"first": first, "second": second, "third": third}


async def use_prompts_and_resources(client: Client) -> dict[str, Any]:
    prompts = await client.list_prompts()
    language = {"name": "language", "value": "i"}
    completed = await client.complete(PromptReference(type="ref/prompt", name="drafts_waiting"), language)
    prompt = await client.get_prompt("drafts_waiting", {"language": completed.completion.values[0]})
    asked = (await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})).structured_content
    resources = await client.list_resources()
    templates = await client.list_resource_templates()
    place = ResourceTemplateReference(type="ref/resource", uri=templates.resource_templates[0].uri_template)
    threads = await client.complete(place, {"name": "thread_id", "value": asked["thread_id"][:9]})
    uri = f"contit://runs/{asked['thread_id']}/{asked['run_id']}"
    read = [(await client.read_resource(each)).contents[0].text for each in ("contit://guide", "contit://runs", uri)]
    return {
        "prompts": [each.name for each in prompts.prompts],
        "completed": completed.completion.values,
        "prompt": prompt.messages[0].content.text,
        "asked": asked,
        "resources": [str(each.uri) for each in resources.resources],
        "templates": [each.uri_template for each in templates.resource_templates],
        "threads": threads.completion.values,
        "read": read,
    }


async def main() -> None:
    jobs = {"more": use_prompts_and_resources, "impatient": give_up_and_ask_again}
    async with Client(transport(), mode=GIVEN["mode"], read_timeout_seconds=GIVEN.get("seconds")) as client:
        print(json.dumps(await jobs.get(GIVEN.get("job"), ask)(client)))


anyio.run(main)
