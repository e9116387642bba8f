"""docs/tasks.md: what it shows is what happens."""

import json
import re
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import CallToolResult, TextContent

from contit_mcp.tasks.extension import IDENTIFIER
from tests.echo_contit import EchoContit
from tests.rules.tree import ROOT
from tests.server.stage import connected
from tests.tasks.client import TasksClient, create_task, get_task

pytestmark = pytest.mark.anyio
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
CALL, CREATED, GET = [json.loads(block) for block in re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)]
[SERVER] = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


async def test_the_messages_of_the_page_are_those_of_the_server() -> None:
    """With the same fields, and the same values where they do not depend on the time."""
    async with connected(EchoContit(seconds=20), era="auto", extensions=[TasksClient()]) as (client, _):
        created = await create_task(client, CALL["params"]["name"], **CALL["params"]["arguments"])
        sent = created.model_dump(by_alias=True, exclude_none=True, exclude={"meta"})
        assert set(sent) == set(CREATED)
        for name in ("resultType", "status", "statusMessage", "ttlMs", "pollIntervalMs"):
            assert sent[name] == CREATED[name]
        assert (GET["method"], set(GET["params"])) == ("tasks/get", {"taskId", "_meta"})
        assert (await get_task(client, created.task_id))["status"] == "working"
    for shown in (CALL, GET):
        capabilities = shown["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert capabilities == {"extensions": {IDENTIFIER: {}}}


@pytest.mark.parametrize("anyio_backend", [("asyncio", {})])  # the page's server looks at the clock of the machine
async def test_the_server_of_the_page_serves_tasks() -> None:
    """It is executed as it is printed."""
    names: dict[str, Any] = {}
    exec(compile(SERVER, "docs/tasks.md", "exec"), names)
    tasks = TasksClient()
    for extensions, text in (([tasks], "Report "), ([], "Report")):
        with anyio.fail_after(30):
            async with Client(names["server"], mode="2026-07-28", extensions=extensions) as client:
                answer = await client.call_tool("make_report", {})
        assert isinstance(answer, CallToolResult)
        assert isinstance(answer.content[0], TextContent)
        assert answer.content[0].text.startswith(text)
    assert tasks.seen[-1]["status"] == "completed"
