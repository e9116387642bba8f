"""What the clients of the SDK 2.x and of FastMCP do. FastMCP's client returns a part of some results."""

from typing import Any

from given import GIVEN
from mcp_types import PromptReference, ResourceTemplateReference


def part(result: Any, name: str) -> Any:
    """Return this part of a result, which may be the part already."""
    return getattr(result, name, result)


async def ask(client: Any) -> dict[str, Any]:
    tools = [tool.name for tool in part(await client.list_tools(), "tools")]
    first = await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})
    arguments = {"prompt": GIVEN["follow_up"], "thread_id": first.structured_content["thread_id"]}
    results = [
        {"content": [it.text for it in one.content], "structured": one.structured_content, "isError": one.is_error}
        for one in (first, await client.call_tool("contit_ask", arguments))
    ]
    return {"tools": tools, "results": results}


async def use_prompts_and_resources(client: Any) -> dict[str, Any]:
    async def complete(reference: Any, name: str, value: str) -> list[str]:
        return part(await client.complete(reference, {"name": name, "value": value}), "completion").values

    prompts = part(await client.list_prompts(), "prompts")
    completed = await complete(PromptReference(type="ref/prompt", name="drafts_waiting"), "language", "i")
    prompt = await client.get_prompt("drafts_waiting", {"language": completed[0]})
    asked = (await client.call_tool("contit_ask", {"prompt": GIVEN["question"]})).structured_content
    resources = part(await client.list_resources(), "resources")
    templates = [each.uri_template for each in part(await client.list_resource_templates(), "resource_templates")]
    place = ResourceTemplateReference(type="ref/resource", uri=templates[0])
    uris = ("contit://guide", "contit://runs", f"contit://runs/{asked['thread_id']}/{asked['run_id']}")
    return {
        "prompts": [each.name for each in prompts],
        "completed": completed,
        "prompt": prompt.messages[0].content.text,
        "asked": asked,
        "resources": [str(each.uri) for each in resources],
        "templates": templates,
        "threads": await complete(place, "thread_id", asked["thread_id"][:9]),
        "read": [part(await client.read_resource(uri), "contents")[0].text for uri in uris],
    }
