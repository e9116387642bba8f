"""FastMCP's client, which declares the Tasks extension where the package fastmcp-tasks is installed."""

import json
from contextlib import suppress

import anyio
from fastmcp import Client
from given import GIVEN
from jobs import ask, use_prompts_and_resources
from through_fastmcp import transport

with suppress(ImportError):
    import fastmcp_tasks  # noqa: F401 - every client of this process then declares the extension


async def main() -> None:
    async with Client(transport()) as client:
        print(json.dumps(await (use_prompts_and_resources if GIVEN.get("job") == "more" else ask)(client)))


anyio.run(main)
