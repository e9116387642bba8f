"""The client of the Python SDK 2.x, in the mode that is named."""

import json

import anyio
from given import GIVEN
from jobs import ask, use_prompts_and_resources
from mcp.client import Client
from through_sdk import transport


async def main() -> None:
    async with Client(transport(), mode=GIVEN["mode"]) as client:
        print(json.dumps(await (use_prompts_and_resources if GIVEN.get("job") == "more" else ask)(client)))


anyio.run(main)
