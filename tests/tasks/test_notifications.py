"""`notifications/tasks` on the stream of `subscriptions/listen`."""

from typing import Any

import anyio
import pytest
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from contit_mcp.tasks.notifications import MOST_TASKS
from contit_mcp.tasks.task import Task
from tests.conformance.jobs import Jobs
from tests.tasks.client import TasksClient, create_task, get_task, listen, listen_for, update_task
from tests.tasks.test_extension import MISSING, connected

pytestmark = pytest.mark.anyio


async def until_told(tasks: TasksClient, count: int) -> None:
    """Wait until so many notifications have come."""
    with anyio.fail_after(60):
        while len(tasks.told) < count:
            await anyio.sleep(0.1)


async def test_a_listener_is_told_where_each_task_stands_and_of_every_change_until_its_end() -> None:
    """With the whole task, as `tasks/get` would return it, under the stream's id (documented)."""
    tasks = TasksClient()
    async with connected(tasks) as client, anyio.create_task_group() as listening:
        quick = await create_task(client, "slow_compute", seconds=2)
        asking = await create_task(client, "confirm_delete", filename="f")
        listening.start_soon(listen, client, quick.task_id, asking.task_id, "never-was")
        await until_told(tasks, 3)
        answer = {"action": "accept", "content": {"confirm": True}}
        await update_task(client, asking.task_id, {"confirm": answer})
        await until_told(tasks, 4)
        await anyio.sleep(30)  # and nothing more
        of: dict[str, list[dict[str, Any]]] = {quick.task_id: [], asking.task_id: []}
        for told in tasks.told:
            of[told["taskId"]].append(told)
        assert [told["status"] for told in of[quick.task_id]] == ["working", "completed"]
        assert [told["status"] for told in of[asking.task_id]] == ["input_required", "completed"]
        last = of[quick.task_id][-1]
        assert last.pop("_meta")[SUBSCRIPTION_ID_META_KEY]
        asked = await get_task(client, quick.task_id)
        assert {name: value for name, value in asked.items() if name not in {"_meta", "resultType"}} == last
        listening.cancel_scope.cancel()


async def test_a_listener_is_told_which_of_its_answers_are_still_missing() -> None:
    """The status stays, what is asked for does not (documented: the whole task at each change)."""
    tasks = TasksClient()
    async with connected(tasks) as client, anyio.create_task_group() as listening:
        created = await create_task(client, "multi_input")
        listening.start_soon(lambda: listen(client, created.task_id))
        await until_told(tasks, 1)
        await update_task(client, created.task_id, {"first": {"action": "accept", "content": {}}})
        await until_told(tasks, 2)
        assert [sorted(told["inputRequests"]) for told in tasks.told] == [["first", "second"], ["second"]]
        listening.cancel_scope.cancel()


async def test_the_acknowledgement_names_the_tasks_that_are_followed_and_keeps_the_rest() -> None:
    """Unknown ones are not agreed to, nor more than a stream can follow (documented: the server says which)."""
    heard: list[Any] = []

    async def note(message: Any) -> None:
        heard.append(message)

    async with connected(TasksClient(), message_handler=note) as client, anyio.create_task_group() as listening:
        ids = [(await create_task(client, "slow_compute", seconds=60)).task_id for _ in range(MOST_TASKS + 1)]
        listening.start_soon(lambda: listen(client, "never-was", ids[0], ids[1], ids[0]))
        listening.start_soon(lambda: listen(client, *ids))
        with anyio.fail_after(60):
            while len(agreed := _agreed(heard)) < 2:
                await anyio.sleep(0.1)
        listening.cancel_scope.cancel()
    assert {"toolsListChanged": True, "taskIds": ids[:2]} in agreed
    assert {"toolsListChanged": True, "taskIds": ids[:MOST_TASKS]} in agreed


def _agreed(heard: list[Any]) -> list[dict[str, Any]]:
    return [
        message.params.notifications.model_dump(by_alias=True, exclude_none=True)
        for message in heard
        if getattr(message, "method", "") == "notifications/subscriptions/acknowledged"
    ]


async def test_a_client_that_does_not_declare_the_extension_cannot_listen_for_tasks() -> None:
    """Documented: -32021; without tasks it listens as ever."""
    heard: list[Any] = []

    async def note(message: Any) -> None:
        heard.append(message)

    async with connected(message_handler=note) as client:
        with pytest.raises(MCPError) as refused:
            await listen(client, "x")
        assert (refused.value.code, refused.value.data) == (-32021, MISSING)
        with anyio.move_on_after(5):
            await listen_for(client, {"toolsListChanged": True})
    assert _agreed(heard) == [{"toolsListChanged": True}]


async def test_what_cannot_be_a_list_of_tasks_is_refused() -> None:
    """Before a stream is opened (our choice)."""
    async with connected(TasksClient()) as client:
        for task_ids in ("x", ["x", 1], {"x": 1}):
            with pytest.raises(MCPError, match="list of strings") as refused:
                await listen_for(client, {"taskIds": task_ids})
            assert refused.value.code == -32602


async def test_what_is_wrong_beside_the_tasks_is_refused_as_it_is_without_them() -> None:
    """With the same code, as no fault of the server (documented: -32602)."""
    async with connected(TasksClient()) as client:
        created = await create_task(client, "slow_compute", seconds=60)
        said = []
        for tasks in ({}, {"taskIds": [created.task_id]}):
            with pytest.raises(MCPError) as refused:
                await listen_for(client, {"toolsListChanged": "nonsense", **tasks})
            said.append((refused.value.code, refused.value.message))
    assert said[0] == said[1]
    assert said[0][0] == -32602


async def test_a_listener_is_told_of_the_end_although_the_source_could_not_say_it_for_a_while() -> None:
    """A refusal is no end: who listens instead of polling would wait for ever (our choice)."""
    tasks = TasksClient()
    async with connected(tasks, kind=Stumbling) as client, anyio.create_task_group() as listening:
        created = await create_task(client, "slow_compute", seconds=2)
        listening.start_soon(lambda: listen(client, created.task_id))
        await until_told(tasks, 2)
        assert [told["status"] for told in tasks.told] == ["working", "completed"]
        listening.cancel_scope.cancel()


class Stumbling(Jobs):
    """Says where a task stands the first time, then not for some times, then again."""

    asked = 0

    async def get(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> Task | None:
        self.asked += 1
        if 1 < self.asked < 5:
            raise MCPError(-32603, "not now")
        return await super().get(task_id, ctx)
