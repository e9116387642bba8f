"""Writes tools.snapshot.json: `python -m tests.server.snapshot` (make snapshot)."""

import json

import anyio

from contit_mcp.telemetry.logging import configure_logging
from tests.echo_contit import EchoContit
from tests.server.stage import connected
from tests.server.test_tools import SNAPSHOT


async def _write() -> None:
    async with connected(EchoContit()) as (client, _):
        tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools]
    SNAPSHOT.write_text(json.dumps(tools, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    configure_logging("WARNING")
    anyio.run(_write)
