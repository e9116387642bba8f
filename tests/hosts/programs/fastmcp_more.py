"""FastMCP's client: prompts with their completion, and resources."""

import json
import sys

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp_types import PromptReference, ResourceTemplateReference

GIVEN = json.loads(sys.argv[1])


async def main() -> None:
    if GIVEN["command"]:
        transport = StdioTransport(command=GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    else:
        transport = StreamableHttpTransport(GIVEN["url"], headers=GIVEN["headers"])
    async with Client(transport) as client:
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
    print(
        json.dumps(
            {
                "prompts": [each.name for each in prompts],
                "completed": completed.values,
                "prompt": prompt.messages[0].content.text,
                "asked": asked,
                "resources": [str(each.uri) for each in resources],
                "templates": [each.uri_template for each in templates],
                "threads": threads.values,
                "read": read,
            }
        )
    )


anyio.run(main)
