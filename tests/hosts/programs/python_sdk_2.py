"""The client of the Python SDK 2.x, in the mode that is named."""

import json
from typing import Any

import anyio
from given import GIVEN
from jobs import ask, use_prompts_and_resources
from mcp import MCPError
from mcp.client import Client
from through_sdk import transport


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


async def main() -> None:
    jobs = {"more": use_prompts_and_resources, "impatient": give_up_and_ask_again}
    async with Client(transport(), mode=GIVEN["mode"], read_timeout_seconds=GIVEN.get("seconds")) as client:
        print(json.dumps(await jobs.get(GIVEN.get("job"), ask)(client)))


anyio.run(main)
