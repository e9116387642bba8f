"""The Tasks extension for the SDK's client: it polls a task to its end, as the specification says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import anyio
from mcp.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import BaseModel, ConfigDict

from contit_mcp.tasks.extension import IDENTIFIER


class CreatedTask(Result):
    """What a call returns in place of its result."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None
    status_message: str | None = None


class _Params(RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class _TaskRequest(Request[_Params, str]):
    name_param = "taskId"


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


ENDS = {"completed", "failed", "cancelled"}


async def _ask(method: str, client: Client | ClaimContext, task_id: str, responses: Any = None) -> dict[str, Any]:
    request = _TaskRequest(method=method, params=_Params(task_id=task_id, input_responses=responses))
    return (await client.session.send_request(request, _Anything)).model_dump()


get_task, update_task, cancel_task = (partial(_ask, f"tasks/{name}") for name in ("get", "update", "cancel"))


async def create_task(client: Client, tool: str, **arguments: Any) -> CreatedTask:
    created = await client.session.call_tool(tool, arguments, allow_claimed=True)
    assert isinstance(created, CreatedTask), created
    return created


@dataclass
class TasksClient(ClientExtension):
    """Declares the extension, and keeps every answer of `tasks/get`."""

    identifier = IDENTIFIER
    seen: list[dict[str, Any]] = field(default_factory=list)

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=CreatedTask, resolve=self._resolve)]

    async def _resolve(self, created: CreatedTask, context: ClaimContext) -> CallToolResult:
        task: dict[str, Any] = {"status": created.status, "pollIntervalMs": created.poll_interval_ms}
        while task["status"] not in ENDS:
            await anyio.sleep(task["pollIntervalMs"] / 1000)
            task = await get_task(context, created.task_id)
            self.seen.append(task)
        assert task["status"] == "completed", task
        return CallToolResult.model_validate(task["result"], by_name=False)
