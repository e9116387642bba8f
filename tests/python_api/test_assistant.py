"""`contit_mcp.Assistant`: the guarantees of the tools, for a program."""

import os
from typing import Any

import anyio
import pytest

import contit_mcp
from contit_mcp import Assistant, create_app, create_server, errors
from contit_mcp.testing import RunningSandbox

pytestmark = pytest.mark.anyio

DRAFTS = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."


def assistant(sandbox: RunningSandbox, **options: Any) -> Assistant:
    return Assistant(**{"api_key": "anna-key", "base_url": sandbox.url, "store": "memory", **options})


async def test_it_asks_and_goes_on_in_the_conversation(sandbox: RunningSandbox) -> None:
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


async def test_a_wait_that_ends_returns_the_ids_and_the_answer_is_fetched_by_them(sandbox: RunningSandbox) -> None:
    """`start`, `status` and `response` are the tools of that name; an observer learns the ids before there is an answer."""
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


async def test_the_ids_outlive_the_assistant_where_the_store_does(sandbox: RunningSandbox, tmp_path: object) -> None:
    """A second one, as in another process, finds the run of the first; the same one can be entered again."""
    first, second = (assistant(sandbox, store=f"sqlite:{tmp_path}/runs.db") for _ in range(2))
    async with first as contit:
        started = await contit.start(DRAFTS)
    for again in (second, first):
        async with again as contit:
            assert [run.run_id for run in await contit.runs()] == [started.run_id]
            assert (await contit.response(started.thread_id, started.run_id)).response == ANSWER


async def test_close_ends_every_wait_with_its_ids(sandbox: RunningSandbox) -> None:
    """For a program that shuts down."""
    runs: list[contit_mcp.Run] = []

    async def ask(number: int) -> None:
        runs.append(await contit.ask(f"{DRAFTS} ({number})"))

    with anyio.fail_after(10):
        async with assistant(sandbox) as contit, anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(ask, number)
            while len(sandbox.record.runs) < 5:
                await anyio.sleep(0.01)
            contit.close()
    assert {run.status for run in runs} <= {"in_progress", "completed"}
    assert len({run.run_id for run in runs}) == 5


async def test_errors_have_a_message_and_a_hint(sandbox: RunningSandbox) -> None:
    """The classes are those of `contit_mcp.errors`."""
    async with assistant(sandbox, api_key="wrong-key") as contit:
        with pytest.raises(errors.AuthenticationError) as refused:
            await contit.ask(DRAFTS)
        assert refused.value.hint
        assert "wrong-key" not in f"{refused.value!r} {refused.value.hint}"
    async with assistant(sandbox) as contit:
        with pytest.raises(errors.InvalidArgumentError):
            await contit.ask("   ")
        with pytest.raises(errors.RunNotFoundError):
            await contit.status("thread_unknown", "run_unknown")


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
async def test_it_works_on_uvloop(sandbox: RunningSandbox) -> None:
    """The extra `server` installs it."""
    async with assistant(sandbox) as contit:
        assert (await contit.ask(DRAFTS)).response == ANSWER


def test_trio_is_refused_with_the_reason() -> None:
    """Its event loop is not asyncio's, which the HTTP client needs. Trio need not be installed to see that."""
    entering = Assistant(api_key="k", store="memory").__aenter__()
    with pytest.raises(errors.ConfigurationError, match="under asyncio only"):
        entering.send(None)


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (Assistant, {}, "No Contit credential is given"),
        (Assistant, {"api_key": ""}, "No Contit credential is given"),
        (Assistant, {"api_key": "k", "access_token": "ctpat_x"}, "CONTIT_API_KEY and CONTIT_ACCESS_TOKEN are both set"),
        (Assistant, {"api_key": "k", "base_url": "http://contit.example"}, "must begin with https"),
        (Assistant, {"api_key": "k", "stor": "memory"}, "Assistant does not take stor. Did you mean store?"),
        (Assistant, {"api_key": "k", "wait_seconds": 3}, "not take wait_seconds. docs/python.md lists the options."),
        (Assistant, {"api_key": "k", "answer_seconds": -1}, "CONTIT_MCP_ANSWER_SECONDS"),
        (
            Assistant,
            {"environment": {"CONTIT_API_KEY": "k", "CONTIT_MCP_STOR": "x"}},
            "CONTIT_MCP_STOR is not a setting",
        ),
        (create_server, {}, "No Contit credential is given"),
        (create_app, {}, "No Contit credential is given"),
        (create_app, {"api_key": "k", "auth": "token", "tokens": "a:" + "t" * 20}, "needs a seal key"),
        (create_app, {"api_key": "k", "seal_key": "short"}, "at least 32 characters"),
        (create_app, {"api_key": "k", "port": 80}, "create_app does not take port"),
        (create_app, {"api_key": "k", "auth": "everyone"}, "CONTIT_MCP_AUTH"),
    ],
)
def test_options_that_cannot_be_used_say_so(
    make: Any, options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the object is made, before anything is asked. No variable is read that the program has not passed."""
    monkeypatch.setenv("CONTIT_API_KEY", "key")
    with pytest.raises(errors.ConfigurationError) as refused:
        make(**options)
    assert said in f"{refused.value.message} {refused.value.hint}"
    make(environment=os.environ, store="memory")
