"""`contit-mcp ask` in pipes and scripts: what it prints where, and its exit codes."""

import json
import shlex
from pathlib import Path

import anyio
import click
import httpx
import pytest

from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.cli.ask import ExitCode, NextCommands, Request, command, get_answer
from contit_mcp.cli.options import GivenOptions
from contit_mcp.config.sources import load_settings
from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from tests.children import sandbox_on_port
from tests.cli.command_line import fed, listed, run, upstream
from tests.echo_contit import EchoContit
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

DRAFTS = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."


async def test_in_a_pipe_stdout_holds_the_answer_and_a_line_end_and_nothing_else() -> None:
    async with sandbox_on_port() as (url, _):
        asked = await run("ask", DRAFTS, **upstream(url))
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, f"{ANSWER}\n", "")


async def test_json_has_the_keys_of_the_tools_result() -> None:
    async with sandbox_on_port() as (url, sandbox):
        asked = await run("ask", "--json", DRAFTS, **upstream(url))
    result = json.loads(asked.stdout)
    assert asked.returncode == 0
    assert result.pop("elapsed_seconds") >= 0.3
    (known,) = sandbox.runs
    assert result == {"status": "completed", "thread_id": known.thread_id, "run_id": known.run_id, "response": ANSWER}


@pytest.mark.parametrize("arguments", [("ask",), ("ask", "-")])
async def test_the_question_is_read_from_a_pipe(arguments: tuple[str, ...]) -> None:
    async with sandbox_on_port() as (url, sandbox):
        asked = await fed(f"{DRAFTS}\n".encode(), *arguments, **upstream(url))
    assert asked.stdout == f"{ANSWER}\n"
    assert [known.prompt for known in sandbox.runs] == [DRAFTS]


async def test_an_answer_survives_a_locale_without_its_letters() -> None:
    async with sandbox_on_port() as (url, _):
        ascii_only = upstream(url, PYTHONIOENCODING="ascii")
        plain = await run("ask", "Find xyzzy", **ascii_only)
        as_json = await run("ask", "--json", "Find xyzzy", **ascii_only)
    assert plain.returncode == 0
    assert "?xyzzy?" in plain.stdout
    assert "“xyzzy”" in json.loads(as_json.stdout)["response"]


async def test_last_and_thread_go_on_with_a_conversation_and_last_alone_fetches_its_answer() -> None:
    """The newest conversation is the one that was asked last, whichever process asked."""
    async with sandbox_on_port() as (url, sandbox):
        await run("ask", "List all published articles from March 2026", **upstream(url))
        first = sandbox.runs[0]
        second = await run("ask", "--last", "Show me the second one", **upstream(url))
        assert "Weekly Update" in second.stdout
        third = await run("ask", "--thread", first.thread_id, "Show me the first one", **upstream(url))
        assert "Breaking News" in third.stdout
        again = await run("ask", "--last", **upstream(url))
        assert again.stdout == third.stdout
    assert len(sandbox.runs) == 3
    assert {known.thread_id for known in sandbox.runs} == {first.thread_id}


@pytest.mark.parametrize("other", [{"CONTIT_API_KEY": "another-key"}, {"CONTIT_MCP_STORE": "memory"}])
async def test_last_without_a_remembered_conversation_says_what_to_do(other: dict[str, str]) -> None:
    """Another credential has conversations of its own; a store in memory forgets with its process."""
    async with sandbox_on_port() as (url, sandbox):
        await run("ask", DRAFTS, **upstream(url))
        asked = await run("ask", "--last", **upstream(url) | other)
    assert asked.returncode == 1
    assert asked.stderr.startswith("error: No conversation with this Contit and this credential is remembered")
    assert "\nhint: Ask a question without --last first" in asked.stderr
    assert len(sandbox.runs) == 1


async def test_a_state_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    """The answer is what was asked for."""
    (tmp_path / "a file").touch()
    async with sandbox_on_port() as (url, _):
        asked = await run("ask", DRAFTS, **upstream(url), CONTIT_MCP_STATE_DIR=str(tmp_path / "a file" / "state"))
    assert (asked.returncode, asked.stdout) == (0, f"{ANSWER}\n")
    assert asked.stderr.count("\n") == 1


async def test_a_shorter_wait_ends_with_the_command_that_fetches_the_answer() -> None:
    async with sandbox_on_port() as (url, sandbox):
        asked = await run("ask", "--base-url", url, "--wait-seconds", "0", DRAFTS, CONTIT_API_KEY="sandbox-key")
        assert asked.returncode == 3
        assert asked.stdout == ""
        said, command = asked.stderr.splitlines()
        assert said.startswith("Still running after ")
        words = shlex.split(command)
        assert words[0] == "contit-mcp"
        fetched = await run(*words[1:], CONTIT_API_KEY="sandbox-key")
        assert fetched.stdout == f"{ANSWER}\n"
        as_json = json.loads((await run("ask", "--wait-seconds", "0", "--json", DRAFTS, **upstream(url))).stdout)
    assert len(sandbox.runs) == 2
    assert as_json["status"] == "in_progress"
    assert as_json["next_step"] == (f"contit-mcp ask --thread {as_json['thread_id']} --run {as_json['run_id']} --json")


async def test_the_wait_that_the_environment_sets_for_hosts_does_not_cut_an_ask() -> None:
    async with sandbox_on_port(SandboxOptions(run_seconds=1.6)) as (url, _):
        asked = await run("ask", DRAFTS, **upstream(url, CONTIT_MCP_WAIT_SECONDS="1"))
    assert asked.returncode == 0


@pytest.mark.parametrize(
    ("fault", "status", "said", "next_step"),
    [
        ("failed on=start", "failed", "the run failed", None),
        ("401 on=start", "failed", "refused the credential (401)", "contit-mcp check"),
        ("drop-after on=start", "failed", "unknown whether a run was started", None),
        ("401 on=status", "in_progress", "The run was started, but", "contit-mcp ask --thread "),
    ],
)
async def test_what_goes_wrong_is_an_error_with_exit_code_1(
    fault: str, status: str, said: str, next_step: str | None
) -> None:
    async with sandbox_on_port(SandboxOptions(run_seconds=0)) as (url, sandbox):
        sandbox.add_fault(parse_fault(fault))
        asked = await run("ask", "--json", DRAFTS, **upstream(url))
    result = json.loads(asked.stdout)
    assert asked.returncode == 1
    assert "error:" not in asked.stderr
    assert result["status"] == status
    assert said in result["error"]
    assert "contit_" not in result["error"]
    assert (result.get("next_step") or "").startswith(next_step or "nothing") or next_step is None


async def test_an_error_is_one_line_and_a_hint_and_the_handle_where_there_is_one() -> None:
    nothing = await run("ask", DRAFTS)
    assert nothing.returncode == 1
    assert nothing.stdout == ""
    assert nothing.stderr.splitlines()[0] == "error: No Contit credential is configured."
    assert nothing.stderr.splitlines()[1].startswith("hint: Run contit-mcp install HOST")
    for words in (("ask", DRAFTS), ("runs",), ("runs", "show")):
        as_json = await run(*words, "--json")
        assert json.loads(as_json.stdout)["error"].startswith("No Contit credential is configured.")
        assert as_json.stderr == ""
    async with sandbox_on_port() as (url, sandbox):
        sandbox.add_fault(parse_fault("401 on=status"))
        refused = await run("ask", DRAFTS, **upstream(url))
    (known,) = sandbox.runs
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[2] == f"  contit-mcp ask --thread {known.thread_id} --run {known.run_id}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--last", "--thread", "t", "x"), "--last and --thread"),
        (("--run", "r"), "--run needs the --thread"),
        (("--thread", "t", "--run", "r", "x"), "takes no PROMPT"),
        (("--thread", "..", "x"), "The id of --thread is not an id"),
        (("--sandbox", "--last", "x"), "contit-mcp sandbox in"),
        ((" ",), "There is no question"),
        (("--wait-seconds", "-1", "x"), "not in the range"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        command.main(list(arguments), standalone_mode=False)
    assert said in refused.value.message
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ((), b" \n", "There is no question"),
        (("-",), b"\xff\xfe\x00", "UTF-8"),
        (("x" * 32_001,), b"", "32,000 are allowed"),
    ],
)
async def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], stdin: bytes, said: str) -> None:
    refused = await fed(stdin, "ask", *arguments, CONTIT_API_KEY="k", CONTIT_BASE_URL="http://127.0.0.1:9")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert refused.stdout == ""


async def test_the_sandbox_answers_without_an_account_and_leaves_nothing_behind(state: Path) -> None:
    asked = await run("ask", "--sandbox", DRAFTS, CONTIT_API_KEY="REAL", CONTIT_BASE_URL="https://contit.example")
    assert (asked.returncode, asked.stdout) == (0, f"{ANSWER}\n")
    assert listed(state.parent) == []


async def test_no_ask_imports_the_protocol() -> None:
    asked = await run(
        "ask",
        "--wait-seconds=0",
        DRAFTS,
        CONTIT_API_KEY="k",
        CONTIT_BASE_URL="http://127.0.0.1:9",
        PYTHONPROFILEIMPORTTIME="1",
    )
    imported = {line.rpartition("|")[2].strip() for line in asked.stderr.splitlines() if line.startswith("import time")}
    assert "httpx" in imported
    assert not imported & {"mcp", "mcp_types", "starlette", "uvicorn"}


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
async def test_a_contit_that_cannot_be_asked_for_minutes_is_waited_for() -> None:
    contit = EchoContit(seconds=1.0)
    contit.instead("status", *[httpx.ConnectError("no route")] * 200)
    began = anyio.current_time()
    outcome = await get_answer(
        Request("Is it raining?"),
        load_settings(environment={"CONTIT_API_KEY": "k", "CONTIT_BASE_URL": "http://localhost"}),
        NextCommands(GivenOptions(None, None, None)),
        transport=contit,
    )
    assert outcome.exit_code is ExitCode.ANSWERED
    assert anyio.current_time() - began > PollPolicy().fault_seconds
