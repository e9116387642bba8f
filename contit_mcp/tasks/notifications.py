"""`notifications/tasks` on the streams of `subscriptions/listen`.

The SDK's extensions cannot bind or wrap a method of the core protocol, so this is middleware. The SDK's own handler
goes on serving the stream; its acknowledgement is completed with the tasks that are followed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import INVALID_PARAMS, Notification, RequestId, SubscriptionsAcknowledgedNotification

from contit_mcp.tasks.requests import VERSIONS, check_declared
from contit_mcp.tasks.source import TaskSource
from contit_mcp.tasks.task import Task

MOST_TASKS = 50
"""Followed on one stream; further ones are not acknowledged, and their client polls."""

_USUAL_POLL_SECONDS = 1.0


class TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """`notifications/tasks`: a task as `tasks/get` would return it."""

    method: Literal["notifications/tasks"] = "notifications/tasks"


class TaskNotifications:
    """Follows tasks for whoever listens: `MCPServer(..., middleware=[TaskNotifications(source)])`.

    A listener gets each task's state when it begins to listen, and again at each change, until it has ended.

    Args:
        source: Does the work; it is asked for a task as often as the task itself proposes.
    """

    def __init__(self, source: TaskSource) -> None:
        self._source = source

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Serve `subscriptions/listen`; everything else passes."""
        if ctx.method != "subscriptions/listen" or ctx.protocol_version not in VERSIONS:
            return await call_next(ctx)
        wanted = _wanted(ctx.params)
        if wanted is None:
            return await call_next(ctx)
        check_declared(ctx)
        known = await self._known(wanted, ctx)
        session = _AcknowledgingSession(ctx.session, [task.task_id for task in known])
        refusal: Exception | None = None
        result: HandlerResult = None
        async with anyio.create_task_group() as followers:
            for task in known:
                followers.start_soon(self._follow, task, ctx, session.acknowledged)
            try:
                result = await call_next(replace(ctx, session=cast("ServerSession", session)))
            except Exception as error:  # noqa: BLE001 - a task group would wrap it: the client would get another error
                refusal = error
            followers.cancel_scope.cancel()
        if refusal is not None:
            raise refusal
        return result

    async def _known(self, task_ids: list[str], ctx: ServerRequestContext[Any, Any]) -> list[Task]:
        """Those tasks of the ids that there are for this caller, as they stand."""
        found: dict[str, Task | None] = {}

        async def look(task_id: str) -> None:
            try:
                found[task_id] = await self._source.get(task_id, ctx)
            except MCPError:
                found[task_id] = None  # it is not agreed to, so its client polls, and is told why

        async with anyio.create_task_group() as looks:
            for task_id in task_ids:
                looks.start_soon(look, task_id)
        return [task for task_id in task_ids if (task := found[task_id]) is not None]

    async def _follow(self, task: Task, ctx: ServerRequestContext[Any, Any], acknowledged: anyio.Event) -> None:
        await acknowledged.wait()
        await _tell(task, ctx)
        while not task.status.terminal:
            await anyio.sleep(task.poll_seconds or _USUAL_POLL_SECONDS)
            try:
                now = await self._source.get(task.task_id, ctx)
            except MCPError:
                continue  # it says nothing of the task, whose end its client still waits for
            if now is None:
                return
            if (now.status, now.input_requests) != (task.status, task.input_requests):
                await _tell(now, ctx)
            task = now


async def _tell(task: Task, ctx: ServerRequestContext[Any, Any]) -> None:
    params = task.detailed(ctx.protocol_version) | {"_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
    notification = cast("Any", TaskNotification(params=params))  # the SDK's union of notifications is closed
    await ctx.session.send_notification(notification, related_request_id=ctx.request_id)


class _AcknowledgingSession:
    """The session of a listener, for the SDK's handler: its acknowledgement names the tasks too."""

    def __init__(self, session: ServerSession, task_ids: list[str]) -> None:
        self._session = session
        self._task_ids = task_ids
        self.acknowledged = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def send_notification(self, notification: Any, related_request_id: RequestId | None = None) -> None:
        if isinstance(notification, SubscriptionsAcknowledgedNotification):
            agreed = notification.params.notifications.model_copy(update={"taskIds": self._task_ids})
            params = notification.params.model_copy(update={"notifications": agreed})
            notification = notification.model_copy(update={"params": params})
        await self._session.send_notification(notification, related_request_id)
        if isinstance(notification, SubscriptionsAcknowledgedNotification):
            self.acknowledged.set()


def _wanted(params: Mapping[str, Any] | None) -> list[str] | None:
    """The tasks that are to be followed, each once; None when the client says nothing of tasks.

    Raises:
        MCPError: It says it in a way that cannot be understood.
    """
    asked = (params or {}).get("notifications")
    task_ids = asked.get("taskIds") if isinstance(asked, Mapping) else None
    if task_ids is None:
        return None
    if not isinstance(task_ids, list) or not all(isinstance(task_id, str) for task_id in task_ids):
        raise MCPError(INVALID_PARAMS, "notifications.taskIds must be a list of strings.")
    return list(dict.fromkeys(task_ids))[:MOST_TASKS]
