"""The types of the API: `make check` runs mypy on this file, and tests/hosts/test_in_process.py pyright."""

import os
from typing import Literal, assert_type

from mcp.client import Client
from starlette.applications import Starlette
from starlette.routing import Mount

import contit_mcp
from contit_mcp import Assistant, ContitError, Observer, Run, create_app, create_server
from contit_mcp.errors import RunFailedError
from contit_mcp.testing import RunningSandbox, running_sandbox


class Ids(Observer):
    def started(self, thread_id: str, run_id: str) -> None:
        self.ids = thread_id, run_id


async def asks(key: str | None) -> str:
    async with Assistant(api_key=key, store="memory", answer_seconds=60) as contit:
        assert_type(contit, Assistant)
        run = await contit.ask("Any drafts?", wait_seconds=5, observer=Ids())
        assert_type(run, Run)
        assert_type(run.status, Literal["completed", "in_progress", "failed"])
        assert_type(run.run_id, str | None)
        assert_type(run.elapsed_seconds, float | None)
        started = await contit.start("Any drafts?", run.thread_id)
        if started.run_id is not None:
            assert_type(await contit.status(started.thread_id, started.run_id), Run)
        assert_type(await contit.runs(limit=5), list[Run])
        contit.close()
        try:
            return (await contit.response(run.thread_id)).response or ""
        except RunFailedError as error:
            return f"{error.run_id}: {error.message}"
        except ContitError as error:
            assert_type(error.hint, str)
            return error.hint


async def serves() -> Starlette:
    async with Client(create_server(client_id="c", client_secret="s", wait_seconds=30.0)) as client:
        await client.list_tools()
    return Starlette(routes=[Mount("/ai", create_app(environment=os.environ, auth="caller", card=False))])


def sandboxed() -> None:
    with running_sandbox() as sandbox:
        assert_type(sandbox, RunningSandbox)
        assert_type(sandbox.url, str)
    assert_type(contit_mcp.__version__, str)


def mistakes() -> None:
    """A checker must report each of these: an ignored error that does not occur is an error itself."""
    Assistant(api_key=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Assistant(api_key="k", stor="memory")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    create_app(auth="everyone")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    create_server(api_key="k", port=80)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
