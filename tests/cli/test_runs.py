"""`contit-mcp runs`: the remembered conversations of this credential, their answers, and their completion."""

import json
import re

import pytest

from tests.children import sandbox_on_port
from tests.cli.command_line import run, upstream
from tests.cli.test_completion import completed

pytestmark = pytest.mark.anyio

DRAFTS, ARTICLES = "How many drafts are there?", "How many articles are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages.\n"


async def test_runs_are_listed_shown_and_completed() -> None:
    """The newest first; by its number or by any of its ids. Contit is not asked a question again."""
    async with sandbox_on_port() as (url, sandbox):
        for question in (DRAFTS, ARTICLES):
            await run("ask", question, **upstream(url))
        first, second = sorted(sandbox.runs, key=lambda known: known.prompt, reverse=True)
        listed = await run("runs", **upstream(url))
        row = r"  \d{4}-\d\d-\d\d \d\d:\d\d  completed    "
        lines = [
            f"  1{row}{second.thread_id}  {re.escape(ARTICLES)}",
            f"  2{row}{first.thread_id}  {re.escape(DRAFTS)}",
        ]
        assert re.fullmatch("\n".join(lines) + "\n", listed.stdout), listed
        assert (listed.returncode, listed.stderr) == (0, "")
        for which in ("2", first.run_id, first.thread_id):
            shown = await run("runs", "show", which, **upstream(url))
            assert (shown.returncode, shown.stdout) == (0, ANSWER), which
        newest = json.loads((await run("runs", "show", "--json", **upstream(url))).stdout)
        assert (newest["status"], newest["run_id"]) == ("completed", second.run_id)
        found = json.loads((await run("runs", "--json", "--limit", "1", **upstream(url))).stdout)
        assert [each["run_id"] for each in found["runs"]] == [second.run_id]
        line = f"contit-mcp ask --base-url {url} --thread thread_"
        assert await completed(line, CONTIT_API_KEY="sandbox-key") == [second.thread_id, first.thread_id]
        line = f"contit-mcp runs --base-url {url} show {first.run_id[:-2]}"
        assert await completed(line, CONTIT_API_KEY="sandbox-key") == [first.run_id]
    assert len(sandbox.runs) == 2


@pytest.mark.parametrize("which", ["0", "2", "-1", "thread_x", "1e3", "²", "x" * 500])
async def test_a_run_that_is_not_remembered_is_an_error(which: str) -> None:
    """One line and a hint, exit code 1; what looks like an option is wrong usage."""
    async with sandbox_on_port() as (url, _):
        await run("ask", DRAFTS, **upstream(url))
        shown = await run("runs", "show", which, **upstream(url))
    assert shown.returncode == (2 if which.startswith("-") else 1)
    assert "error: " in shown.stderr
    assert len(shown.stderr) < 400


async def test_another_credential_sees_none_of_them() -> None:
    """Nor does the completion; an empty list says so on stderr."""
    async with sandbox_on_port() as (url, _):
        await run("ask", DRAFTS, **upstream(url))
        other = await run("runs", **upstream(url) | {"CONTIT_API_KEY": "another"})
        assert (other.returncode, other.stdout, other.stderr) == (0, "", "No conversation is remembered.\n")
        assert await completed(f"contit-mcp ask --base-url {url} --thread ", CONTIT_API_KEY="another") == []
    assert await completed("contit-mcp ask --thread ") == []
