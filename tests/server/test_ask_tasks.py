"""`contit_ask` as a task: a run of Contit, polled by its sealed id."""

import io
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from contit_mcp.server.context import AppContext, Caller
from contit_mcp.tasks.extension import IDENTIFIER
from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import call, connected, ids_of, lines, messages_written, settings
from tests.tasks.client import ENDS, TasksClient, cancel_task, create_task, get_task, update_task

pytestmark = pytest.mark.anyio
UNKNOWN = (-32602, "Task not found: the id is not known here, or has expired.")
DAY = 86_400


def process(contit: EchoContit, **environment: str) -> AbstractAsyncContextManager[tuple[Client, AppContext]]:
    """Return a server with a store of its own, and a client that declares tasks, each of whose asks becomes a task."""
    configured = settings(CONTIT_MCP_TASK_INLINE_SECONDS="0", **environment)
    return connected(contit, era="auto", extensions=[TasksClient()], configured=configured)


async def ended(client: Client, task_id: str) -> dict[str, Any]:
    while (task := await get_task(client, task_id))["status"] not in ENDS:
        await anyio.sleep(task["pollIntervalMs"] / 1000)
    return task


def answer_of(task: dict[str, Any]) -> str:
    return str(task["result"]["structuredContent"]["response"])


async def refusal(client: Client, task_id: str) -> tuple[int, str]:
    with pytest.raises(MCPError) as refused:
        await get_task(client, task_id)
    return refused.value.code, refused.value.message


@pytest.mark.parametrize("prompt", ["q", "fails"])
async def test_an_ask_has_the_same_result_as_a_task_and_without_one(prompt: str) -> None:
    """Text and structure are equal, except for the seconds and the trace id. A failed run is a completed task."""
    found = []
    for extensions in ([TasksClient()], []):
        contit = EchoContit(seconds=20, end_words={"fails": "failed"})
        async with connected(contit, era="auto", extensions=extensions) as (client, _):
            structure, texts, is_error = await call(client, "contit_ask", {"prompt": prompt})
        structure.pop("trace_id", None)
        assert abs(structure.pop("elapsed_seconds", 20) - 20) < 3
        found.append((structure, texts, is_error))
    assert found[0] == found[1]
    assert found[0][2] == (prompt == "fails")


async def test_a_task_is_returned_once_its_run_exists_and_contit_is_polled_only_for_polls_of_the_task() -> None:
    """`tasks/get` finds it at once, as the specification demands."""
    contit = EchoContit(seconds=300, latency=0.5)
    async with process(contit) as (client, context):
        created = await create_task(client, "contit_ask", prompt="q")
        assert (created.status, created.ttl_ms, created.poll_interval_ms) == ("working", DAY * 1000, 1000)
        assert len(contit.runs) == 1
        assert (await get_task(client, created.task_id))["status"] == "working"
        await anyio.sleep(120)
        assert contit.count("status") == 0
        assert context.calls_in_flight == 0
        seen = await get_task(client, created.task_id)
        assert seen["pollIntervalMs"] == 5000
        assert seen["statusMessage"] == "Contit is working on it, 120 s so far."
        assert contit.count("status") == 1
        # A caller with many tasks polls each less often: two polls a second for all of them.
        pauses = [(await create_task(client, "contit_ask", prompt=f"q{n}")).poll_interval_ms for n in range(20)]
        assert (pauses[0], pauses[-1]) == (1000, 10_500)


async def test_clients_that_poll_a_task_too_often_cause_no_more_polls_of_contit() -> None:
    """Nor do they see the end later. A call waits for the same run meanwhile."""
    contit = EchoContit(seconds=60)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
        began = anyio.current_time()

        async def poll() -> None:
            while (await get_task(client, created.task_id))["status"] == "working":
                await anyio.sleep(0.2)

        async with anyio.create_task_group() as together:
            together.start_soon(call, client, "contit_response", {"thread_id": "thread_1", "run_id": "run_2"})
            for _ in range(5):
                together.start_soon(poll)
        assert anyio.current_time() - began < 60 + 3.5
    assert 15 < contit.count("status") < 80
    assert contit.count("response") == 1


async def test_the_error_of_a_failed_run_names_the_handles_of_its_caller() -> None:
    """Callers that share a credential never see Contit's ids."""
    contit, configured = EchoContit(seconds=1, end_words={"q": "failed"}), settings(CONTIT_MCP_SEAL_KEY="s" * 32)
    async with AppContext(configured, auth="token", transport=contit) as context:
        tenant = context.services().tenant(Caller(principal="anna"))
        report = await tenant.start("q", None, wait_seconds=0)
        await anyio.sleep(2)
        error = (await tenant.snapshot("thread_1", "run_2", 0)).error
    assert error is not None
    assert (error.thread_id, error.run_id) == (report.thread_id, report.run_id) != ("thread_1", "run_2")


async def test_a_refused_ask_and_the_other_tools_return_no_task() -> None:
    contit = EchoContit(seconds=5)
    contit.instead("start", httpx.Response(401))
    async with process(contit) as (client, _):
        for arguments in ({"prompt": " "}, {"prompts": "q"}, {"prompt": "q"}):
            assert (await call(client, "contit_ask", arguments))[2]
        assert not contit.runs
        started, _, _ = await call(client, "contit_start", {"prompt": "q"})
        assert (await call(client, "contit_status", ids_of(started)))[0]["status"] == "in_progress"
        assert (await call(client, "contit_response", ids_of(started)))[0]["response"] == answer_to("q")


async def test_each_ask_of_one_question_is_a_task_of_its_own_on_one_run() -> None:
    """Even at the same moment. Each task can be cancelled without the others."""
    contit = EchoContit(seconds=30)
    async with process(contit) as (client, _):
        ids: list[str] = []

        async def ask() -> None:
            ids.append((await create_task(client, "contit_ask", prompt="q")).task_id)

        async with anyio.create_task_group() as together:
            for _ in range(3):
                together.start_soon(ask)
        for _ in range(2):
            await cancel_task(client, ids[0])
        await ask()  # it shares the run, which goes on: Contit has no cancel
        assert len(set(ids)) == 4
        found = [(await get_task(client, task_id))["status"] for task_id in ids]
        assert found == ["cancelled", "working", "working", "working"]
        assert answer_of(await ended(client, ids[1])) == answer_to("q")
        await cancel_task(client, ids[1])  # too late, but acknowledged
        assert (await get_task(client, ids[1]))["status"] == "completed"
    assert contit.started("q") == 1


async def test_another_process_answers_a_task_with_the_same_credential_alone() -> None:
    """Nothing but the credential is shared. A cancel there is not stored, because the run is unknown to the store."""
    contit = EchoContit(seconds=30)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
    async with process(contit) as (client, _):
        await cancel_task(client, created.task_id)
        task = await ended(client, created.task_id)
        assert answer_of(task) == answer_to("q")
        asked = len(contit.requests)
        await cancel_task(client, created.task_id)
        assert await update_task(client, created.task_id, {"x": 1})
        again = await get_task(client, created.task_id)
        assert (again["status"], again["result"]) == ("completed", task["result"])  # an end stays
        assert len(contit.requests) == asked
    async with process(contit, CONTIT_API_KEY="another-key") as (client, _):
        assert await refusal(client, created.task_id) == UNKNOWN


async def test_in_another_process_a_404_for_a_run_of_a_few_seconds_does_not_end_its_task() -> None:
    """It may be replication lag, also after a wait for the thread. A later 404 ends the task."""
    contit = EchoContit(seconds=10)
    async with process(contit) as (client, _), process(contit) as (other, _):
        await create_task(client, "contit_ask", prompt="one")
        created = await create_task(client, "contit_ask", prompt="two", thread_id="thread_1")
        contit.instead("status", httpx.Response(404))
        assert (await get_task(other, created.task_id))["status"] == "working"
        assert not contit.replies["status"]
        assert answer_of(await ended(other, created.task_id)) == answer_to("two")
        gone = await create_task(client, "contit_ask", prompt="three")
        await anyio.sleep(6)
        contit.instead("status", httpx.Response(404))
        assert (await get_task(other, gone.task_id))["result"]["isError"]


async def test_a_task_whose_answer_a_later_run_replaced_ends_with_an_error() -> None:
    """It never returns the newer answer."""
    contit = EchoContit(seconds=5)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
    await anyio.sleep(10)
    async with process(contit) as (client, _):
        await call(client, "contit_ask", {"prompt": "later", "thread_id": "thread_1"})
        later = await create_task(client, "contit_ask", prompt="later", thread_id="thread_1")
        await ended(client, later.task_id)
        result = (await get_task(client, created.task_id))["result"]
        assert (await get_task(client, created.task_id))["result"] == result
    assert result["isError"]
    assert "later run" in result["structuredContent"]["error"]


async def test_the_id_of_a_task_works_for_a_day_and_then_gets_the_error_of_any_unknown_id() -> None:
    async with process(EchoContit(seconds=5)) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
        await ended(client, created.task_id)
        await anyio.sleep(DAY - 60)
        assert (await get_task(client, created.task_id))["status"] == "completed"
        await anyio.sleep(61)
        for task_id in (created.task_id, created.task_id[:-1], "h1_AAAA", "", "run_2", "x" * 100_000):
            assert await refusal(client, task_id) == UNKNOWN
            for method in (cancel_task(client, task_id), update_task(client, task_id, {})):
                with pytest.raises(MCPError, match="Task not found"):
                    await method


async def test_neither_a_fault_of_contit_nor_a_refused_credential_ends_a_task() -> None:
    """It has its answer once the credential is corrected."""
    contit = EchoContit(seconds=5)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
        await anyio.sleep(10)
        contit.instead("status", *[httpx.Response(503)] * 10)
        assert (await get_task(client, created.task_id))["status"] == "working"
        contit.replies["status"].clear()
        contit.instead("status", httpx.Response(401))
        await anyio.sleep(5)
        code, message = await refusal(client, created.task_id)
        assert (code, message.endswith("(contit-mcp check tells more).")) == (-32603, True)
        await anyio.sleep(5)
        assert answer_of(await ended(client, created.task_id)) == answer_to("q")


async def test_a_task_whose_run_does_not_end_is_given_up_also_by_a_process_that_did_not_start_it() -> None:
    """That process counts the limit from when it first saw the run, because clocks may differ."""
    contit = EchoContit(seconds=DAY)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
    await anyio.sleep(29 * 60)
    async with process(contit) as (client, _):
        assert (await get_task(client, created.task_id))["status"] == "working"
        await anyio.sleep(30 * 60)
        result = (await get_task(client, created.task_id))["result"]
        contit.runs[0].ends = anyio.current_time()
        assert (await get_task(client, created.task_id))["result"] == result  # an end stays
    assert result["isError"]
    assert "No end seen" in result["structuredContent"]["error"]


async def test_each_request_about_a_task_logs_one_line_with_its_run(logged: io.StringIO) -> None:
    """No line has a prompt or a task id. A request whose caller left is `cancelled`."""
    contit = EchoContit(seconds=20)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="secret question")
        other = await create_task(client, "contit_ask", prompt="secret question")
        await cancel_task(client, other.task_id)
        await get_task(client, other.task_id)
        await anyio.sleep(10)
        contit.latency = 1
        with anyio.move_on_after(0.5):
            await get_task(client, created.task_id)
        contit.latency = 0
        await ended(client, created.task_id)
        await update_task(client, created.task_id, {"secret key": 1})
        await refusal(client, "somebody-elses")
    written = lines(logged, "call.finished")
    assert {line["level"] for line in written if line["outcome"] == "in_progress"} == {"debug"}  # polls
    assert [(line["tool"], line["outcome"]) for line in written if line["level"] == "info"] == [
        ("contit_ask", "task"),
        ("contit_ask", "task"),
        ("tasks/cancel", "acknowledged"),
        ("tasks/get", "cancelled"),
        ("tasks/get", "cancelled"),
        ("tasks/get", "completed"),
        ("tasks/update", "acknowledged"),
        ("tasks/get", "unknown"),
    ]
    assert {line["run_id"] for line in written[:-1]} == {"run_2"}
    assert [line["run_id"] for line in written if line["outcome"] == "unknown"] == [None]
    for hidden in ("secret", created.task_id, "somebody"):
        assert hidden not in json.dumps(written)


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "q"}, "_meta": {"progressToken": "p"}}),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "r", "wait_seconds": 0}, "task": {"ttl": 60}}),
    ("tasks/list", {}),
]
TASKS: dict[str, Any] = {"extensions": {IDENTIFIER: {}}, "tasks": {}}
OTHER: dict[str, Any] = {"extensions": {"com.example/other": {}}}


@pytest.mark.parametrize(("era", "declared", "named"), [("legacy", TASKS, []), ("modern", OTHER, [0])])
async def test_a_client_without_tasks_gets_plain_results(era: str, declared: dict[str, Any], named: list[int]) -> None:
    """The older era has no tasks. In the newer era, the answer to `server/discover` alone names the extension."""
    written = await messages_written(era, declared, REQUESTS, EchoContit(seconds=3), settings())
    assert [number for number, message in enumerate(written) if IDENTIFIER in message] == named
    assert not [message for message in written if '"taskId":' in message or '"resultType":"task"' in message]
    assert [message["error"]["code"] for message in map(json.loads, written) if "error" in message] == [-32601]
