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
from tests.server.stage import call, connected, ids_of, settings, wire
from tests.server.test_calls import lines
from tests.tasks.client import ENDS, TasksClient, cancel_task, create_task, get_task, update_task

pytestmark = pytest.mark.anyio
UNKNOWN = (-32602, "Task not found: the id is not known here, or has expired.")
DAY = 86_400


Process = AbstractAsyncContextManager[tuple[Client, AppContext]]


def process(contit: EchoContit, **environment: str) -> Process:
    """A process with a memory of its own, and a client that understands tasks."""
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
async def test_an_ask_by_a_task_ends_in_the_very_result_of_one_without(prompt: str) -> None:
    """Text and structure, but for the seconds and the trace id; `failed` is for the protocol's errors (documented)."""
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


async def test_the_task_is_there_once_its_run_is_and_nobody_asks_contit_until_someone_asks_us() -> None:
    """It must resolve at once (documented), and costs nothing meanwhile."""
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


async def test_many_clients_of_one_task_that_poll_too_often_ask_contit_as_one() -> None:
    """Their haste is not Contit's load, and an end is not seen later for it. A plain call may wait for the same run."""
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
    """Where callers share a credential they never see Contit's ids (design, section 5)."""
    contit, configured = EchoContit(seconds=1, end_words={"q": "failed"}), settings(CONTIT_MCP_SEAL_KEY="s" * 32)
    async with AppContext(configured, auth="token", transport=contit) as context:
        tenant = context.services().tenant(Caller(principal="anna"))
        report = await tenant.start("q", None, wait_seconds=0)
        await anyio.sleep(2)
        error = (await tenant.snapshot("thread_1", "run_2", 0)).error
    assert error is not None
    assert (error.thread_id, error.run_id) == (report.thread_id, report.run_id) != ("thread_1", "run_2")


async def test_what_was_not_started_is_no_task() -> None:
    """A refusal is there at once, so it is the call's own result; the other tools return at once or wait on purpose."""
    contit = EchoContit(seconds=5)
    contit.instead("start", httpx.Response(401))
    async with process(contit) as (client, _):
        for arguments in ({"prompt": " "}, {"prompts": "q"}, {"prompt": "q"}):
            assert (await call(client, "contit_ask", arguments))[2]
        assert not contit.runs
        started, _, _ = await call(client, "contit_start", {"prompt": "q"})
        assert (await call(client, "contit_status", ids_of(started)))[0]["status"] == "in_progress"
        assert (await call(client, "contit_response", ids_of(started)))[0]["response"] == answer_to("q")


async def test_the_same_question_joins_the_run_in_a_task_of_its_own() -> None:
    """Also at the same moment, however coarse the clock is. Each can be cancelled without the other."""
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
        await ask()  # it joins the run that goes on, since Contit has no cancel (documented)
        assert len(set(ids)) == 4
        found = [(await get_task(client, task_id))["status"] for task_id in ids]
        assert found == ["cancelled", "working", "working", "working"]
        assert answer_of(await ended(client, ids[1])) == answer_to("q")
        await cancel_task(client, ids[1])  # too late, and acknowledged all the same
        assert (await get_task(client, ids[1]))["status"] == "completed"
    assert contit.started("q") == 1


async def test_another_process_answers_a_task_without_having_heard_of_it() -> None:
    """It needs the same credential alone, where no seal key is configured."""
    contit = EchoContit(seconds=30)
    async with process(contit) as (client, _):
        created = await create_task(client, "contit_ask", prompt="q")
    async with process(contit) as (client, _):
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


async def test_another_process_does_not_take_the_lag_of_a_young_run_for_its_end() -> None:
    """A 404 of the first seconds may be lag (contit-api.md), also after a wait for the thread; a later one is not."""
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


async def test_an_answer_that_a_later_run_has_replaced_is_not_given_for_it() -> None:
    """A process that knows the later run says so; never the newer answer (design, section 3)."""
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


async def test_an_id_is_good_for_a_day_and_then_as_unknown_as_any_other() -> None:
    """One text for all that is not there (documented: -32602)."""
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


async def test_passing_faults_of_contit_change_nothing_and_a_refusal_is_no_end() -> None:
    """The task continues, and has its answer once the credential is corrected."""
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


async def test_a_run_without_an_end_is_given_up_also_by_a_process_that_did_not_start_it() -> None:
    """Once it has seen the run going for the limit: clocks may differ."""
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


async def test_each_request_about_a_task_is_one_line_with_its_run_and_no_secret(logged: io.StringIO) -> None:
    """As calls are; an id that is not the caller's leaves nothing of it, and a request that is cut is cancelled."""
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


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "q"}, "_meta": {"progressToken": "p"}}),
    ("tools/call", {"name": "contit_ask", "arguments": {"prompt": "r", "wait_seconds": 0}, "task": {"ttl": 60}}),
    ("tasks/list", {}),
]


async def test_the_handshake_era_sees_nothing_of_tasks() -> None:
    """Not even where its client names the extension: it is not of that era, and its methods do not exist there."""
    requests = [*CALLS, ("tasks/get", {"taskId": "x"}), ("tasks/get", {}), ("tasks/cancel", {})]
    declared: dict[str, Any] = {"extensions": {IDENTIFIER: {}}, "tasks": {}}
    written = await wire("legacy", declared, requests, EchoContit(seconds=3), settings())
    assert not [line for line in written if IDENTIFIER in line or '"taskId":' in line or '"resultType":"task"' in line]
    errors = [message["error"]["code"] for message in map(json.loads, written) if "error" in message]
    assert errors == [-32601] * 4


async def test_a_client_of_the_newer_era_that_does_not_declare_tasks_gets_plain_results() -> None:
    """Only `server/discover` names the extension, as the specification demands."""
    written = await wire("modern", {"extensions": {"com.example/other": {}}}, CALLS, EchoContit(seconds=3), settings())
    assert [index for index, line in enumerate(written) if IDENTIFIER in line] == [0]
    capabilities = json.loads(written[0])["result"]["capabilities"]
    assert IDENTIFIER in capabilities["extensions"]
    assert capabilities["tools"] == {"listChanged": False}
    assert capabilities["resources"] == {"subscribe": False, "listChanged": False}
    assert not [line for line in written if '"resultType":"task"' in line]
