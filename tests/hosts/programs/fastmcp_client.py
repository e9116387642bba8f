"""FastMCP's client: an ask and a follow-up, or prompts with their completion and resources."""

import json
from typing import Any

import anyio
from fastmcp import Client
from given import GIVEN, readable
from mcp_types import PromptReference, ResourceTemplateReference
from through_fastmcp import transport


async def ask(client: Client) -> dict[str, Any]:
    tools = [tool.name for tool in await client.list_tools()]
    first = await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
    arguments = {"prompt": GIVEN["follow_up"], "thread_id": first.structured_content["thread_id"]}
    return {"tools": tools, "results": readable(first, await client.call_tool("contit_ask", arguments))}


async def use_prompts_and_resources(client: Client) -> dict[str, Any]:
    prompts = await client.list_prompts()
    language = {"name": "language", "value": "i"}
    completed = await client.complete(PromptReference(type="ref/prompt", name="drafts_waiting"), language)
    prompt = await client.get_prompt("drafts_waiting", {"language": completed.values[0]})
    asked = (await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})).structured_content
    resources = await client.list_resources()
    templates = await client.list_resource_templates()
    place = ResourceTemplateReference(type="ref/resource", uri=templates[0].uri_template)
    threads = await client.complete(place, {"name": "thread_id", "value": asked["thread_id"][:9]})
    uri = f"contit://runs/{asked['thread_id']}/{asked['run_id']}"
    read = [(await client.read_resource(each))[0].text for each in ("contit://guide", "contit://runs", uri)]
    return {
        "prompts": [each.name for each in prompts],
        "completed": completed.values,
        "prompt": prompt.messages[0].content.text,
        "asked": asked,
        "resources": [str(each.uri) for each in resources],
        "templates": [each.uri_template for each in templates],
        "threads": threads.values,
        "read": read,
    }


async def main() -> None:
    job = use_prompts_and_resources if GIVEN.get("job") == "more" else ask
    async with Client(transport()) as client:
        print(json.dumps(await job(client)))


anyio.run(main)
