"""`contit-mcp ask` in pipes and scripts: what it prints where, and its exit codes."""

import json
import os
import re
import shlex
import ssl
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest

from contit_mcp import errors
from contit_mcp.assistant.waiting import PollPolicy
from contit_mcp.cli.ask import ANSWERED, Wanted, get_answer, outcome_of_error
from contit_mcp.cli.options import GivenOptions
from contit_mcp.config.sources import load_settings
from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from tests.children import Contit, contit
from tests.cli.command_line import NOWHERE, run, run_here, run_with_stdin, upstream
from tests.echo_contit import EchoContit
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

DRAFTS = "How many drafts are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages."
PLAIN = Wanted(GivenOptions(None, None, None), "Is it raining?")


def test_in_a_pipe_stdout_holds_the_answer_and_nothing_else(sandbox: Contit) -> None:
    """With --json, an object with the keys of the tools' result."""
    on_stdin = DRAFTS.encode()
    for words, stdin in ((DRAFTS.split(), b""), ([], on_stdin + b"\n"), (["-"], b"\xef\xbb\xbf" + on_stdin)):
        asked = run_with_stdin(stdin, "ask", *words, **upstream(sandbox.url))
        assert (asked.returncode, asked.stdout, asked.stderr) == (0, f"{ANSWER}\n", "")
    asked = run_here("ask", "--json", DRAFTS, **upstream(sandbox.url))
    result = json.loads(asked.stdout)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert result.pop("elapsed_seconds") >= 0
    *_, known = sandbox.record.runs
    assert result == {"status": "completed", "thread_id": known.thread_id, "run_id": known.run_id, "response": ANSWER}
    assert {known.prompt for known in sandbox.record.runs} == {DRAFTS}


def test_last_and_thread_continue_a_thread_or_fetch_its_answer(sandbox: Contit) -> None:
    """Each credential has its own threads; a store in memory forgets them with its process."""
    to = upstream(sandbox.url)
    run_here("ask", "List all published articles from March 2026", **to)
    first = sandbox.record.runs[0]
    assert "Weekly Update" in run_here("ask", "--last", "Show me the second one", **to).stdout
    third = run_here("ask", "--thread", first.thread_id, "Show me the first one", **to)
    assert "Breaking News" in third.stdout
    assert run_here("ask", "--last", **to).stdout == third.stdout
    assert run_here("ask", "--thread", first.thread_id, **to).stdout == third.stdout
    assert [known.thread_id for known in sandbox.record.runs] == [first.thread_id] * 3
    for other in ({"CONTIT_API_KEY": "another-key"}, {"CONTIT_MCP_STORE": "memory"}):
        asked = run_here("ask", "--last", **to | other)
        assert asked.returncode == 1
        assert asked.stderr.startswith("error: No thread with this Contit and this credential is remembered")
        assert "\nhint: Ask a question without --last first" in asked.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_store_that_cannot_be_used_costs_no_answer(tmp_path: Path, sandbox: Contit) -> None:
    """A note says that the run is not remembered; a command that needs the remembered runs fails."""
    file, theirs = tmp_path / "file", tmp_path / "theirs"
    file.write_bytes(b"no database" * 1_000)
    theirs.touch()
    theirs.chmod(0o600 if os.geteuid() == 0 else 0o644)  # others may read the second
    if os.geteuid() == 0:
        os.chown(theirs, 65_534, 65_534)
    stores = ({"CONTIT_MCP_STORE": f"sqlite:{path}"} for path in (file, file / "runs", theirs, "/dev/full"))
    for odd in ({"CONTIT_MCP_STATE_DIR": str(file / "state")}, *stores):
        to = upstream(sandbox.url, **odd)
        asked = run_here("ask", DRAFTS, **to)
        note = "note: The run is not remembered; contit-mcp check says why.\n"
        assert (asked.returncode, asked.stdout, asked.stderr) == (0, f"{ANSWER}\n", note)
        for words in (("runs",), ("ask", "--last")):
            failed = run_here(*words, **to)
            assert (failed.returncode, failed.stdout) == (1, "")
            assert failed.stderr == "error: The run store cannot be used.\nhint: contit-mcp check says why.\n"
    assert len(sandbox.record.runs) == 5


def test_a_shorter_wait_ends_with_the_command_that_fetches_the_answer(sandbox: Contit) -> None:
    key = {"CONTIT_API_KEY": "sandbox-key"}
    asked = run_here("ask", "--base-url", sandbox.url, "--wait-seconds", "0", DRAFTS, **key)
    assert (asked.returncode, asked.stdout) == (3, "")
    said, command = asked.stderr.splitlines()
    assert said.startswith("Still running after ")
    words = shlex.split(command)
    assert words[0] == "contit-mcp"
    assert run_here(*words[1:], **key).stdout == f"{ANSWER}\n"
    as_json = json.loads(run_here("ask", "--wait-seconds", "0", "--json", DRAFTS, **upstream(sandbox.url)).stdout)
    assert as_json["status"] == "in_progress"
    assert as_json["next_step"] == f"contit-mcp ask --thread {as_json['thread_id']} --run {as_json['run_id']} --json"
    assert len(sandbox.record.runs) == 2


def test_a_repeated_question_starts_a_new_run_and_the_wait_for_hosts_does_not_limit_it() -> None:
    """No answer is given twice, since even one that took long has reached its caller."""
    with contit(SandboxOptions(run_seconds=4.5)) as sandbox:
        to = upstream(sandbox.url, CONTIT_MCP_WAIT_SECONDS="1")
        for _ in range(2):
            asked = json.loads(run_here("ask", "--json", DRAFTS, **to).stdout)
            assert (asked["status"], "age_seconds" in asked) == ("completed", False)
    assert len(sandbox.record.runs) == 2


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("failed on=start", "failed", "the run failed"),
        ("401 on=start", "failed", "refused the credential (401)"),
        ("404 on=start", "failed", "The server at CONTIT_BASE_URL is not Contit's API"),
        ("malformed on=start", "failed", "unknown whether a run was started"),
        ("401 on=status", "in_progress", "The run was started, but"),
    ],
)
def test_a_failure_is_an_error_with_exit_code_1(fault: str, status: str, said: str) -> None:
    """If there is a run, its ids and the command that fetches its answer are printed too."""
    with contit(SandboxOptions(run_seconds=0.2)) as sandbox:
        sandbox.record.add_fault(parse_fault(f"{fault} times=2"))
        asked = run_here("ask", "--json", DRAFTS, **upstream(sandbox.url))
        as_text = run_here("ask", "Another question", **upstream(sandbox.url))
    result = json.loads(asked.stdout)
    assert (asked.returncode, asked.stderr, result["status"]) == (1, "", status)
    assert "contit_" not in result["error"] + result["hint"]
    assert said in result["error"]
    assert ("next_step" in result) == (status == "in_progress")
    assert (as_text.returncode, as_text.stdout) == (1, "")
    step = "  contit-mcp ask --thread .*\n" if "next_step" in result else ""
    assert re.fullmatch(f"error: .*\nhint: .*\n{step}", as_text.stderr)


def test_without_a_credential_the_hint_names_the_commands_and_variables() -> None:
    for words in (("ask", DRAFTS), ("ask", "--last"), ("runs",), ("runs", "show")):
        failed = run_here(*words)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert failed.stderr.startswith("error: No Contit credential is configured.\nhint: Run contit-mcp install HOST")
        as_json = run_here(*words, "--json")
        assert json.loads(as_json.stdout)["error"] == "No Contit credential is configured."
        assert as_json.stderr == ""


def test_a_contit_that_cannot_be_reached_is_one_error_with_the_reason() -> None:
    """Nothing is logged before the error, unless --log-level asks for it."""
    failed = run_here("ask", DRAFTS, **upstream(NOWHERE))
    error = "error: Contit could not be reached: .* refused the connection.*\nhint: Check CONTIT_BASE_URL.*\n"
    assert re.fullmatch(error, failed.stderr)
    assert "upstream.backoff" in run_here("ask", "--log-level", "WARNING", DRAFTS, **upstream(NOWHERE)).stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("--last", "--thread", "t", "x"), b"", "--last and --thread"),
        (("--run", "r"), b"", "hint: Add --thread ID."),
        (("--thread", "..", "x"), b"", "'--thread': the id is not an id"),
        (("--sandbox", "--last"), b"", "hint: Run contit-mcp sandbox in another terminal, then run in this one"),
        (("--sandbox", "--base-url", NOWHERE, "x"), b"", "--sandbox and --base-url"),
        (("--run-seconds", "1", "--fault", "503", "x"), b"", "hint: Add --sandbox."),
        ((), b" \n", "There is no question"),
        (("-",), b"\xff\xfe\x00", "UTF-8"),
        (("x" * 32_001,), b"", "32,000 are allowed"),
    ],
)
def test_wrong_usage_is_exit_code_2_in_json_too(arguments: tuple[str, ...], stdin: bytes, said: str) -> None:
    given = upstream(NOWHERE)
    refused = run_with_stdin(stdin, "ask", *arguments, **given)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    as_json = run_with_stdin(stdin, "ask", "--json", *arguments, **given)
    found = json.loads(as_json.stdout)
    assert (as_json.returncode, as_json.stderr, found["status"]) == (2, "", "failed")
    assert said.removeprefix("hint: ") in found["error"] + found["hint"]


def test_the_sandbox_answers_without_an_account_and_leaves_nothing_behind(state: Path) -> None:
    asked = run_here("ask", "--sandbox", DRAFTS, CONTIT_API_KEY="REAL", CONTIT_BASE_URL="https://contit.example")
    assert (asked.returncode, asked.stdout) == (0, f"{ANSWER}\n")
    assert not state.exists()
    ended = run_here("ask", "--sandbox", "--wait-seconds", "1", "--run-seconds", "9", DRAFTS)
    assert ended.returncode == 3
    assert re.fullmatch(r"Still running after \d s; the sandbox ended with this command\.\n", ended.stderr)


async def test_an_answer_survives_a_locale_without_its_letters(sandbox: Contit) -> None:
    to = upstream(sandbox.url, PYTHONIOENCODING="ascii")
    plain = await run("ask", "Find xyzzy", **to)
    assert (plain.returncode, "?xyzzy?" in plain.stdout) == (0, True)
    as_json = await run("ask", "--json", "Find xyzzy", **to)
    assert "“xyzzy”" in json.loads(as_json.stdout)["response"]


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
async def test_a_contit_that_cannot_be_asked_for_minutes_is_waited_for() -> None:
    unreachable = EchoContit(seconds=1.0)
    unreachable.instead("status", *[httpx.ConnectError("no route")] * 200)
    began = anyio.current_time()
    settings = load_settings(environment=upstream("http://localhost", CONTIT_MCP_STORE="memory"))
    outcome = await get_answer(settings, replace(PLAIN, transport=unreachable))
    assert outcome.exit_code == ANSWERED
    assert anyio.current_time() - began > PollPolicy().fault_seconds


def test_a_certificate_that_is_not_trusted_is_reported_once() -> None:
    error = errors.APIConnectionError("The certificate … is not trusted here.", hint="Try.", may_have_arrived=False)
    error.__cause__ = ssl.SSLCertVerificationError()
    said = str(outcome_of_error(error, PLAIN, "https://contit.example").error)
    assert said == "The certificate … is not trusted here."


async def test_an_interruption_before_the_question_is_read_is_an_object_too(tmp_path: Path) -> None:
    """The interruption comes while modules are imported."""
    (tmp_path / "structlog.py").write_text("raise KeyboardInterrupt")
    asked = await run("ask", "--json", DRAFTS, PYTHONPATH=str(tmp_path))
    assert (asked.returncode, asked.stderr.strip()) == (130, "")
    assert json.loads(asked.stdout)["error"] == "Interrupted."


# --- every error, and the command to run now

UNREACHABLE = errors.APIConnectionError("Contit could not be reached.", hint="Try again.", may_have_arrived=False)
FETCH = "contit-mcp ask --thread t --run r"


@pytest.mark.parametrize(
    ("error", "status", "code", "next_step"),
    [
        (errors.RunTimeoutError("t", "r", after_seconds=1800), "failed", 1, None),
        (errors.RunNotFoundError("t", "r"), "failed", 1, None),
        (errors.ThreadBusyError("t", "r"), "in_progress", 1, FETCH),
        (errors.ThreadBusyError("t", None), "failed", 1, None),
        (errors.AnswerUnavailableError("t", "r", replaced=True), "failed", 1, None),
        (errors.AnswerUnreadableError("t", "r"), "failed", 1, FETCH),
        (errors.InvalidArgumentError("Too long.", hint="Cut."), "failed", 2, None),
        (UNREACHABLE, "failed", 1, None),
    ],
)
def test_an_error_has_its_exit_code_and_command_and_names_no_tool(
    error: errors.ContitError, status: str, code: int, next_step: str | None
) -> None:
    outcome = outcome_of_error(error, PLAIN, "http://localhost")
    assert (outcome.status, outcome.exit_code, outcome.next_step) == (status, code, next_step)
    assert "contit_" not in f"{outcome.error} {outcome.hint}"
    assert "this server" not in f"{outcome.hint}"
    interrupted = outcome_of_error(error, PLAIN, "http://localhost", interrupted=True)
    assert interrupted.exit_code == (2 if code == 2 else 130)


def test_the_next_command_leads_to_the_same_contit_from_any_folder() -> None:
    given = GivenOptions(Path("my settings.toml"), "http://localhost:8787", "DEBUG")
    config = Path("my settings.toml").absolute()
    assert Wanted(given, None, as_json=True).fetch_command("t;rm", "r") == (
        f"contit-mcp ask --thread 't;rm' --run r --json --config '{config}' --base-url http://localhost:8787"
    )
    assert replace(PLAIN, transport=EchoContit()).fetch_command("t", "r") is None
