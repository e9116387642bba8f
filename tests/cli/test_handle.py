"""`contit-mcp handle`: the seal key opens the handle that a caller reports; without it, it stays sealed."""

import pytest

from contit_mcp.server.tenancy import Kind, Sealer, TaskId, sealer_of_credential
from tests.cli.command_line import run

pytestmark = pytest.mark.anyio

OLD, NEW, FOREIGN = "o" * 32, "n" * 32, "f" * 32
TASK = TaskId("thread_1", "run_1", 1_760_000_000_123)
OPENED: dict[str, tuple[Kind, str, str]] = {
    "thread": ("thread", "thread_1", "kind: thread\nthread_id: thread_1\n"),
    "run": ("run", "run_1", "kind: run\nrun_id: run_1\n"),
    "task": (
        "task",
        TASK.text,
        "kind: task\nasked_at: 2025-10-09T08:53:20+00:00\nthread_id: thread_1\nrun_id: run_1\n",
    ),
}


@pytest.mark.parametrize("name", OPENED)
async def test_the_key_alone_opens_every_caller_s_handle(name: str) -> None:
    """Also one that the old key has sealed; no credential and no name of a caller are needed."""
    kind, text, printed = OPENED[name]
    handle = Sealer([OLD]).seal(kind, "anyone at all", text)
    done = await run("handle", f"  {handle}\n", CONTIT_MCP_SEAL_KEY=f"{NEW},{OLD}")
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


async def test_a_task_without_a_seal_key_opens_by_the_credential() -> None:
    """That is how its server has sealed it."""
    handle = sealer_of_credential("key:sandbox-key").seal("task", "anyone", TASK.text)
    done = await run("handle", handle, CONTIT_API_KEY="sandbox-key")
    assert (done.returncode, done.stdout) == (0, OPENED["task"][2])


HANDLE = Sealer([NEW]).seal("run", "owner", "run_1")
UNUSABLE = {
    "another key": (HANDLE, FOREIGN, "None of the keys opens this handle"),
    "cut": (HANDLE[:-3], NEW, "None of the keys opens this handle"),
    "a raw id": ("run_1", NEW, "None of the keys opens this handle"),
    "empty": ("", NEW, "None of the keys opens this handle"),
    "prefix alone": ("h1_", NEW, "None of the keys opens this handle"),
    "endless": ("h1_" + "A" * 10_000, NEW, "None of the keys opens this handle"),
    "a short key": (HANDLE, "short", "CONTIT_MCP_SEAL_KEY cannot be used"),
    "no key and no credential": (HANDLE, "", "There is no key to open the handle with"),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_cannot_be_opened_is_one_line_and_a_hint(name: str) -> None:
    """And shows nothing of the key."""
    handle, key, problem = UNUSABLE[name]
    done = await run("handle", handle, **({"CONTIT_MCP_SEAL_KEY": key} if key else {}))
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {problem}")
    assert hint.startswith("hint: ")
    assert NEW not in done.stderr
