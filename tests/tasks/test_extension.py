"""The Tasks extension of a server whose jobs run in this process, asked by the SDK's client; and docs/tasks.md."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.extension import ClientExtension
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from contit_mcp.tasks.extension import IDENTIFIER, Status, Task
from tests.conformance.jobs import Jobs, create_tasks_server
from tests.echo_contit import EchoContit
from tests.rules.tree import ROOT
from tests.server import stage
from tests.tasks.client import CreatedTask, TasksClient, cancel_task, create_task, get_task, update_task

pytestmark = pytest.mark.anyio
MISSING: dict[str, object] = {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}


@asynccontextmanager
async def connected(*extensions: ClientExtension, mode: str = "2026-07-28") -> AsyncIterator[Client]:
    """Yield a client of a server whose tools become tasks."""
    async with anyio.create_task_group() as background:
        async with Client(create_tasks_server(Jobs(background)), mode=mode, extensions=extensions) as client:
            yield client
        background.cancel_scope.cancel()


async def until(client: Client, created: CreatedTask, status: str) -> dict[str, object]:
    """Poll until the task has this status, and return the task."""
    with anyio.fail_after(60):
        while (task := await get_task(client, created.task_id))["status"] != status:
            await anyio.sleep(0.1)
    return task


async def test_a_call_of_a_client_that_understands_tasks_ends_in_its_result() -> None:
    """The server decides that it becomes a task; the client polls it as often as the task says."""
    tasks = TasksClient()
    async with connected(tasks) as client:
        result = await client.call_tool("slow_compute", {"seconds": 3, "label": "it"})
    assert result.content == [TextContent(type="text", text="it took 3.0 s")]
    assert {task["status"] for task in tasks.seen} == {"working", "completed"}
    assert tasks.seen[-1]["resultType"] == "complete"


async def test_a_task_asks_for_input_which_can_be_given_in_parts() -> None:
    """Documented: an answer to no outstanding question is ignored, and the other questions stay outstanding."""
    async with connected(TasksClient()) as client:
        created = await create_task(client, "multi_input")
        asked = await until(client, created, "input_required")
        assert sorted(asked["inputRequests"]) == ["first", "second"]  # type: ignore[call-overload]
        answer = {"action": "accept", "content": {}}
        taken = await update_task(client, created.task_id, {"first": answer, "never-asked": answer})
        assert taken == {"resultType": "complete", "_meta": asked["_meta"]}
        assert sorted((await get_task(client, created.task_id))["inputRequests"]) == ["second"]
        await update_task(client, created.task_id, {"first": answer, "second": answer})
        done = await until(client, created, "completed")
        assert "inputRequests" not in done
        with pytest.raises(MCPError, match="inputResponses must be an object"):
            await update_task(client, created.task_id, None)


async def test_an_error_of_the_tool_completes_a_task_and_an_error_of_the_protocol_fails_it() -> None:
    """Documented: Task Execution Errors."""
    async with connected(TasksClient()) as client:
        tool_error = await until(client, await create_task(client, "failing_job"), "completed")
        assert tool_error["result"]["isError"]  # type: ignore[index]
        broken = await until(client, await create_task(client, "protocol_error_job"), "failed")
        assert broken["error"] == {"code": -32603, "message": "the job broke"}
        assert "result" not in broken


@pytest.mark.parametrize(("mode", "code"), [("2026-07-28", -32021), ("legacy", -32601)])
async def test_other_clients_get_plain_results_and_errors_for_the_methods_of_tasks(mode: str, code: int) -> None:
    """Documented: a task MUST NOT be returned to them; in the older era, the methods do not exist."""
    async with connected(mode=mode) as client:
        result = await client.call_tool("slow_compute", {"seconds": 3, "label": "it"})
        assert isinstance(result, CallToolResult)
        assert not result.is_error
        with pytest.raises(MCPError) as refused:
            await client.call_tool("failing_job", {})  # it must be a task
        assert (refused.value.code, refused.value.data) == (-32021, MISSING)
        for attempt in (get_task(client, "x"), cancel_task(client, "x"), update_task(client, "x", {})):
            with pytest.raises(MCPError) as refused:
                await attempt
            assert refused.value.code == code


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.0, 1), (0.0001, 1), (0.0126, 13), (1e7, 10**10)])
def test_times_are_iso_dates_and_durations_are_whole_milliseconds_above_zero(seconds: float, milliseconds: int) -> None:
    """Documented. Clients would take 0 for "at once"."""
    times: dict[str, Any] = {"created_at": 0.0, "updated_at": 1.5, "ttl_seconds": seconds, "poll_seconds": seconds}
    sent = Task(task_id="t", status=Status.WORKING, **times).created()
    assert (sent["createdAt"], sent["lastUpdatedAt"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z")
    assert (repr(sent["ttlMs"]), repr(sent["pollIntervalMs"])) == (str(milliseconds), str(milliseconds))


# --- docs/tasks.md

PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
CALL, CREATED, GET = [json.loads(block) for block in re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)]
[SERVER] = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


async def test_the_messages_of_the_page_are_those_of_the_server() -> None:
    """They have the same fields, and the same values unless these depend on the time."""
    async with stage.connected(EchoContit(seconds=20), era="auto", extensions=[TasksClient()]) as (client, _):
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


@pytest.mark.parametrize("anyio_backend", [("asyncio", {})])  # the page's server uses the clock of the machine
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
