"""FastMCP's client."""

import json

import anyio
from fastmcp import Client
from given import GIVEN
from jobs import ask, use_prompts_and_resources
from through_fastmcp import transport


async def main() -> None:
    async with Client(transport()) as client:
        print(json.dumps(await (use_prompts_and_resources if GIVEN.get("job") == "more" else ask)(client)))


anyio.run(main)
