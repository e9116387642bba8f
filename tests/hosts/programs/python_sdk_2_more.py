"""The client of the Python SDK 2.x: prompts with their completion, and resources."""

import json
import sys
from contextlib import AsyncExitStack

import anyio
import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PromptReference, ResourceTemplateReference

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    async with AsyncExitStack() as stack:
        if GIVEN["command"]:
            child = StdioServerParameters(command=GIVEN["command"], args=GIVEN["args"], env=GIVEN["env"])
            transport = stdio_client(child)
        else:
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=GIVEN["headers"], timeout=60))
            transport = streamable_http_client(GIVEN["url"], http_client=http)
        client = await stack.enter_async_context(Client(transport, mode=GIVEN["mode"]))
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
        read = [
            (await client.read_resource(each)).contents[0].text for each in ("contit://guide", "contit://runs", uri)
        ]
    print(
        json.dumps(
            {
                "prompts": [each.name for each in prompts.prompts],
                "completed": completed.completion.values,
                "prompt": prompt.messages[0].content.text,
                "asked": asked,
                "resources": [str(each.uri) for each in resources.resources],
                "templates": [each.uri_template for each in templates.resource_templates],
                "threads": threads.completion.values,
                "read": read,
            }
        )
    )


anyio.run(main)
