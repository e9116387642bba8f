"""`Assistant` for a program, `create_server` for clients in its process, `create_app` mounted in its application."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp_types import CallToolResult, PromptReference, ResourceTemplateReference, TextResourceContents
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import contit_mcp
from contit_mcp import Assistant, create_app, create_server, errors
from contit_mcp.sandbox.options import SandboxOptions
from contit_mcp.testing import RunningSandbox, running_sandbox
from tests.children import JSON_RPC, request_of, result_in, rpc
from tests.server.stage import ERAS

pytestmark = pytest.mark.anyio

DRAFTS = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."
KEYS = frozenset({"anna-key", "ben-key"})


def assistant(sandbox: RunningSandbox, **options: Any) -> Assistant:
    return Assistant(**{"api_key": "anna-key", "base_url": sandbox.url, "store": "memory", **options})


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": uvloop}) for uvloop in (False, True)])
async def test_an_assistant_asks_and_follows_up(sandbox: RunningSandbox) -> None:
    """The result is frozen, and has the fields of the tools' result."""
    async with assistant(sandbox) as contit:
        first = await contit.ask(DRAFTS)
        assert (first.status, first.response) == ("completed", ANSWER)
        assert (first.elapsed_seconds or 0.0) >= 0.2
        with pytest.raises(AttributeError):
            first.status = "failed"  # type: ignore[misc]
        second = await contit.ask("List them", first.thread_id)
        assert second.thread_id == first.thread_id
        assert "Easter on the Lake" in (second.response or "")
        assert [run.run_id for run in await contit.runs()] == [second.run_id, first.run_id]
        assert [run.title for run in await contit.runs(1)] == ["List them"]


async def test_a_wait_that_ends_returns_the_ids_which_fetch_the_answer(sandbox: RunningSandbox) -> None:
    """`start`, `status` and `response` do what the tools of these names do. An observer gets the ids early."""
    seen: list[tuple[str, str]] = []

    class Notes(contit_mcp.Observer):
        def started(self, thread_id: str, run_id: str) -> None:
            seen.append((thread_id, run_id))

    async with assistant(sandbox) as contit:
        started = await contit.start(DRAFTS)
        assert started.run_id is not None
        waited = await contit.ask(DRAFTS, wait_seconds=0, observer=Notes())
        assert (waited.status, waited.run_id, waited.response) == ("in_progress", started.run_id, None)
        assert seen == [(started.thread_id, started.run_id)]
        ended = await contit.status(started.thread_id, started.run_id, wait_seconds=20)
        assert (ended.status, ended.response) == ("completed", None)
        assert (await contit.response(started.thread_id, started.run_id)).response == ANSWER
        assert (await contit.response(started.thread_id)).run_id == started.run_id
    assert len(sandbox.record.runs) == 1


async def test_ids_work_in_another_assistant_on_the_same_store(sandbox: RunningSandbox, tmp_path: object) -> None:
    """Two assistants are like two processes. An assistant can also be entered again."""
    first, second = (assistant(sandbox, store=f"sqlite:{tmp_path}/runs.db") for _ in range(2))
    async with first as contit:
        started = await contit.start(DRAFTS)
    for again in (second, first):
        async with again as contit:
            assert [run.run_id for run in await contit.runs()] == [started.run_id]
            assert (await contit.response(started.thread_id, started.run_id)).response == ANSWER


async def test_close_ends_every_wait_with_its_ids(sandbox: RunningSandbox) -> None:
    with anyio.fail_after(10):
        async with assistant(sandbox) as contit:
            asked = asyncio.gather(*(contit.ask(f"{DRAFTS} ({number})") for number in range(5)))
            while len(sandbox.record.runs) < 5:
                await anyio.sleep(0.01)
            contit.close()
            runs = await asked
    assert {run.status for run in runs} <= {"in_progress", "completed"}
    assert len({run.run_id for run in runs}) == 5


def test_close_also_works_after_the_event_loop_has_ended(sandbox: RunningSandbox) -> None:
    contit = assistant(sandbox)
    asyncio.run(contit.runs())
    contit.close()
    with pytest.raises(errors.ServerClosingError):
        asyncio.run(contit.ask(DRAFTS))


async def test_errors_have_a_message_and_a_hint(sandbox: RunningSandbox) -> None:
    """The classes are those of `contit_mcp.errors`."""
    async with assistant(sandbox, api_key="wrong-key") as contit, assistant(sandbox) as right:
        with pytest.raises(errors.AuthenticationError) as refused:
            await contit.ask(DRAFTS)
        assert refused.value.hint
        assert "wrong-key" not in f"{refused.value!r} {refused.value.hint}"
        with pytest.raises(errors.InvalidArgumentError):
            await right.ask("   ")
        with pytest.raises(errors.RunNotFoundError):
            await right.status("thread_unknown", "run_unknown")


def test_an_assistant_without_asyncio_is_refused_with_the_reason() -> None:
    """The HTTP client needs asyncio, so trio cannot be used."""
    entering = Assistant(api_key="k", store="memory").__aenter__()
    with pytest.raises(errors.ConfigurationError, match="under asyncio only"):
        entering.send(None)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Assistant, {}, "No Contit credential is given"),
        (Assistant, {"api_key": ""}, "No Contit credential is given"),
        (Assistant, {"api_key": "k", "access_token": "t"}, "CONTIT_API_KEY and CONTIT_ACCESS_TOKEN are set at once"),
        (Assistant, {"api_key": "k", "base_url": "http://contit.example"}, "must begin with https"),
        (Assistant, {"api_key": "k", "stor": "memory"}, "Assistant does not take stor. Did you mean store?"),
        (Assistant, {"api_key": "k", "wait_seconds": 3}, "not take wait_seconds. It takes: api_key, "),
        (Assistant, {"api_key": "k", "answer_seconds": -1}, "CONTIT_MCP_ANSWER_SECONDS"),
        (Assistant, {"environment": {"CONTIT_MCP_STOR": "x"}}, "CONTIT_MCP_STOR is not a setting"),
        (create_server, {}, "No Contit credential is given"),
        (create_app, {}, "No Contit credential is given"),
        (create_app, {"api_key": "k", "auth": "token", "tokens": "a:" + "t" * 20}, "needs a seal key"),
        (create_app, {"api_key": "k", "seal_key": "short"}, "at least 32 characters"),
        (create_app, {"api_key": "k", "ca_file": "/nowhere/ca.pem"}, "CA file"),
        (create_app, {"api_key": "k", "port": 80}, "create_app does not take port"),
        (create_app, {"api_key": "k", "auth": "everyone"}, "CONTIT_MCP_AUTH"),
    ],
)
def test_an_option_that_cannot_be_used_is_an_error_when_the_object_is_made(
    make: Any, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is not read unless the program passes it."""
    monkeypatch.setenv("CONTIT_API_KEY", "key")
    with pytest.raises(errors.ConfigurationError) as refused:
        make(**options)
    assert message in f"{refused.value.message} {refused.value.hint}"
    make(environment=os.environ, store="memory")


# --- create_server


def server(sandbox: RunningSandbox, key: str = "anna-key", **options: Any) -> Any:
    return create_server(api_key=key, base_url=sandbox.url, **{"store": "memory", **options})


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("contit_ask", {"prompt": DRAFTS, **arguments})
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result
    return dict(result.structured_content or {})


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_in_process_has_tools_prompts_resources_completion(sandbox: RunningSandbox, era: Any) -> None:
    """In the newer era it also has extensions. Errors come without the SDK's prefix."""
    async with Client(server(sandbox), mode=era) as client:
        assert client.server_info is not None
        assert client.server_info.name == "contit-assistant"
        assert client.instructions
        if era == "auto":  # the older era has no extensions
            assert "io.modelcontextprotocol/tasks" in (client.server_capabilities.extensions or {})
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["contit_ask", "contit_start", "contit_status", "contit_response"]
        found = await ask(client)
        failed = await client.call_tool("contit_ask", {})
        assert isinstance(failed, CallToolResult)
        assert failed.content[0].text.startswith("prompt is required.")  # type: ignore[union-attr]
        uri = f"contit://runs/{found['thread_id']}/{found['run_id']}"
        assert uri in [str(resource.uri) for resource in (await client.list_resources()).resources]
        answer = TextResourceContents(uri=uri, text=ANSWER, mime_type="text/markdown")
        assert (await client.read_resource(uri)).contents == [answer]
        [template] = (await client.list_resource_templates()).resource_templates
        reference = ResourceTemplateReference(uri=template.uri_template)
        completed = await client.complete(reference, {"name": "thread_id", "value": "thread_"})
        assert completed.completion.values == [found["thread_id"]]
        prompt = (await client.list_prompts()).prompts[0]
        assert (await client.get_prompt(prompt.name, {"period": "last month"})).messages
        languages = await client.complete(PromptReference(name=prompt.name), {"name": "language", "value": ""})
        assert len(languages.completion.values) >= 2


async def test_a_server_takes_several_clients_and_new_ones_after_the_last_has_left(sandbox: RunningSandbox) -> None:
    """Connections are closed when the last of several clients has left, and made anew for the next."""
    made = server(sandbox)
    async with Client(made) as first:
        async with Client(made) as second:
            thread = (await ask(second))["thread_id"]
        assert (await ask(first, prompt="List them", thread_id=thread))["thread_id"] == thread
    async with Client(made) as third:
        assert (await ask(third, prompt="List them", thread_id=thread))["thread_id"] == thread


async def test_servers_with_different_credentials_are_independent(sandbox: RunningSandbox, tmp_path: object) -> None:
    """They share a process, a store and a Contit; each caller sees its own runs, and a wrong key stops no other."""
    store = f"sqlite:{tmp_path}/runs.db"
    anna, ben, wrong = (server(sandbox, key, store=store) for key in ("anna-key", "ben-key", "wrong-key"))
    async with Client(anna) as of_anna, Client(ben) as of_ben, Client(wrong) as of_wrong:
        refused = await of_wrong.call_tool("contit_ask", {"prompt": DRAFTS})
        assert isinstance(refused, CallToolResult)
        assert refused.is_error
        found = await asyncio.gather(ask(of_anna), ask(of_ben), ask(of_anna))
        assert len({each["run_id"] for each in found}) == 2  # Anna's second question is deduplicated
        for client in (of_anna, of_ben):
            listed = (await client.list_resources()).resources
            assert len([each for each in listed if str(each.uri).startswith("contit://runs/")]) == 1


# --- create_app


def app_of(sandbox: RunningSandbox, **options: Any) -> Any:
    return create_app(**{"api_key": "anna-key", "base_url": sandbox.url, "store": "memory", **options})


@contextmanager
def hosted(url: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, "-m", "tests.python_api.host_application", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield f"http://127.0.0.1:{child.stdout.readline().strip()}", child
        finally:
            child.kill()


async def test_a_mounted_app_serves_both_eras_beside_one_with_another_credential(sandbox: RunningSandbox) -> None:
    """Their runs, requests and metrics are separate. The host calls no lifespan of theirs."""
    with hosted(sandbox.url) as (url, _):
        for era in ERAS:
            async with Client(f"{url}/ai/mcp", mode=era) as anna, Client(f"{url}/of/ben/mcp", mode=era) as ben:
                assert (await ask(anna))["run_id"] != (await ask(ben))["run_id"]
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/hello")).text == "hello"
            assert (await http.get("/ai/readyz")).text == "ok\n"
            assert (await http.get("/ai/nothing")).status_code == 404
            await http.get("/ai/healthz")
            of_anna, of_ben = [(await http.get(f"{path}/metrics")).text for path in ("/ai", "/of/ben")]
        assert 'contit_mcp_http_requests_total{path="/healthz",status="200"} 1.0' in of_anna
        assert 'path="/healthz"' not in of_ben
        for text in (of_anna, of_ben):
            assert 'contit_mcp_calls_total{outcome="completed",tool="contit_ask"} 2.0' in text
            assert 'contit_mcp_upstream_requests_total{endpoint="start",status="200"} 2.0' in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_mounted_app_drains_with_its_host(number: signal.Signals) -> None:
    """Every ask in flight gets its ids, and the host's own endless stream ends as it would without the app."""
    with running_sandbox(SandboxOptions(run_seconds=60, api_keys=KEYS)) as sandbox, hosted(sandbox.url) as (url, child):
        found: list[dict[str, Any]] = []
        ticks: list[str] = []

        async def one(count: int) -> None:
            arguments = {"prompt": f"{DRAFTS} ({count})", "wait_seconds": 100}
            request = request_of(("legacy", "modern")[count // 2 % 2], "contit_ask", arguments)
            async with httpx.AsyncClient(base_url=url, timeout=30) as http:
                result = result_in(await http.post(("/ai/mcp", "/of/ben/mcp")[count % 2], **request))
            assert not result["isError"]
            found.append(result["structuredContent"])

        async def listen() -> None:
            async with httpx.AsyncClient(timeout=30) as http, http.stream("GET", f"{url}/ticks") as stream:
                with suppress(httpx.RemoteProtocolError):  # the end of an endless stream
                    async for line in stream.aiter_lines():
                        ticks.append(line)  # noqa: PERF401 - the stream breaks

        with anyio.fail_after(50):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                for count in range(12):
                    tasks.start_soon(one, count)
                while len(sandbox.record.runs) < 12:
                    await anyio.sleep(0.05)
                os.kill(child.pid, number)
                asked_at = time.monotonic()
            await anyio.to_thread.run_sync(child.wait)
        assert time.monotonic() - asked_at < 8
        assert {each["status"] for each in found} == {"in_progress"}
        assert len({each["run_id"] for each in found}) == 12
        assert ticks
        assert child.stderr is not None
        assert child.stderr.read().count("without completing response") == 1  # the host's own stream


def test_a_test_client_can_call_the_app_again_and_again_without_a_lifespan(sandbox: RunningSandbox) -> None:
    """Starlette's test client runs each request in an event loop of its own. A websocket below the mount is closed."""
    client = TestClient(app_of(sandbox, allowed_hosts="testserver"), client=("127.0.0.1", 50_000))
    for _ in range(3):
        assert client.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC).status_code == 200
    with client:
        assert client.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC).status_code == 200
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/mcp"):
        pass


async def test_the_end_of_a_lifespan_closes_the_application() -> None:
    """It leaves no task in the event loop, which may go on."""
    events, answers = asyncio.Queue[Any](), asyncio.Queue[Any]()
    before = asyncio.all_tasks()
    app = create_app(api_key="k", store="memory")
    served = asyncio.ensure_future(app({"type": "lifespan"}, events.get, answers.put))
    for event in ("startup", "shutdown"):
        await events.put({"type": f"lifespan.{event}"})
        assert await answers.get() == {"type": f"lifespan.{event}.complete"}
    await served
    assert asyncio.all_tasks() == before


STRANGER = "10.1.2.3"
TOKENS = {"auth": "token", "tokens": "a:" + "t" * 20, "seal_key": "s" * 32}
REQUESTS: list[tuple[str, dict[str, Any], dict[str, str], int]] = [
    ("127.0.0.1", {}, {}, 200),
    ("::1", {}, {}, 200),
    (STRANGER, {}, {}, 403),
    (STRANGER, {"allowed_hosts": "localhost"}, {}, 403),
    (STRANGER, TOKENS, {}, 401),
    (STRANGER, {"auth": "caller"}, {}, 401),
    *(("127.0.0.1", {}, {"Content-Length": length}, 413) for length in ("x", "-1", "", "9" * 5_000)),
]


@pytest.mark.parametrize(("client", "options", "headers", "status"), REQUESTS)
async def test_other_machines_without_authentication_and_odd_lengths_are_refused(
    sandbox: RunningSandbox, client: str, options: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """The host may listen on every address, and its server may not check a Content-Length."""
    transport = httpx.ASGITransport(app_of(sandbox, **options), client=(client, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post("/mcp", json=rpc("tools/list"), headers=JSON_RPC | headers)
    assert answer.status_code == status, answer.text
