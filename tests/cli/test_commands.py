"""The commands demo, sandbox, runs and handle, completion, help, and wrong usage."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import contit_mcp
from contit_mcp.cli.sandbox import KEEP_ALIVE_SECONDS
from contit_mcp.contit.transport import TransportPolicy
from contit_mcp.server.tasks import TaskId
from contit_mcp.server.tenancy import Kind, Sealer, sealer_of_credential
from tests.children import COMMAND, Contit, free_port
from tests.cli.command_line import environment, has_clean_output, on_terminal, run, run_here, serving, upstream

# --- demo and sandbox


def test_the_demo_shows_tools_an_answer_and_a_follow_up_in_the_same_thread(tmp_path: Path) -> None:
    """The module in the current folder is not imported."""
    (tmp_path / "contit_mcp.py").write_text("raise SystemExit(3)", encoding="utf-8")
    given = environment(CONTIT_API_KEY="REAL", CONTIT_BASE_URL="https://contit.example")
    command = [COMMAND[0], "-P", *COMMAND[1:], "demo"]
    shown = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "contit_ask, contit_start, contit_status, contit_response" in shown.stdout
    assert "12 published articles from March 2026" in shown.stdout
    assert "Weekly Update" in shown.stdout
    first, second = re.findall(r"thread_id (\w+),", shown.stdout)
    assert first == second


@pytest.mark.anyio
async def test_the_demo_asks_questions_that_own_content_answers(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('[{"title": "Plum Cake"}]', encoding="utf-8")
    shown = await run("demo", "--data", str(tmp_path / "one.json"), "--run-seconds", "0")
    assert (shown.stdout.count("Plum Cake"), shown.stderr) == (2, "")


@pytest.mark.anyio
async def test_a_demo_whose_server_ends_at_once_is_one_error(tmp_path: Path) -> None:
    ends = "import os, sys; 'stdio' in sys.orig_argv and os._exit(3)"
    (tmp_path / "sitecustomize.py").write_text(ends, encoding="utf-8")
    failed = await run("demo", PYTHONPATH=str(tmp_path))
    error = "error: The demo could not talk to contit-mcp stdio.\n"
    error += "hint: Run contit-mcp check, and report what it prints.\n"
    assert (failed.returncode, failed.stderr.endswith(error)) == (1, True)


def test_the_sandbox_serves_on_its_port_with_its_faults_and_says_that_a_port_is_taken() -> None:
    port = free_port()
    options = ("--run-seconds", "0", "--fault", "503 on=status times=1")
    with serving([*COMMAND, "sandbox", "--port", str(port), *options], environment(), port):
        to = upstream(f"http://127.0.0.1:{port}")
        assert "(HTTP 503)" in run_here("check", **to).stdout
        assert run_here("check", **to).returncode == 0
        refused = run_here("sandbox", "--port", str(port))
    assert refused.returncode == 1
    assert re.fullmatch(f"error: Port {port} .*\nhint: Choose another one with --port.\n", refused.stderr)


def test_the_sandbox_keeps_connections_longer_than_contit_mcp_does() -> None:
    """Otherwise a question could be sent on a connection that is being closed, and its outcome would be unknown."""
    assert TransportPolicy().keep_alive * 2 < KEEP_ALIVE_SECONDS


# --- runs

DRAFTS, ARTICLES = "How many drafts are there?", "How many articles are there?"
ANSWER = "There are 20 draft items: 12 articles, 5 products and 3 pages.\n"


def completed(line: str, **more: str) -> list[str]:
    """Return what bash offers as the last word of the line."""
    last = str(line.count(" "))
    asked = run_here(_CONTIT_MCP_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=last, **more)
    assert asked.stderr == ""
    return [row.partition(",")[2] for row in asked.stdout.splitlines() if row]


def test_runs_are_listed_shown_and_completed_for_their_credential_alone(sandbox: Contit) -> None:
    """The newest is first. A run is named by its number or one of its ids. No question is sent to Contit again."""
    to = upstream(sandbox.url)
    for question in (DRAFTS, ARTICLES):
        run_here("ask", question, **to)
    first, second = sandbox.record.runs
    listed = run_here("runs", **to)
    row = r"  \d{4}-\d\d-\d\d \d\d:\d\d  completed    "
    lines = (f"  {number}{row}{one.thread_id}  {re.escape(one.prompt)}\n" for number, one in ((1, second), (2, first)))
    assert re.fullmatch("".join(lines), listed.stdout), listed
    assert (listed.returncode, listed.stderr) == (0, "")
    for which in ("2", first.run_id, first.thread_id):
        shown = run_here("runs", "show", which, **to)
        assert (shown.returncode, shown.stdout) == (0, ANSWER), which
    newest = json.loads(run_here("runs", "show", "--json", **to).stdout)
    assert (newest["status"], newest["run_id"]) == ("completed", second.run_id)
    found = json.loads(run_here("runs", "--json", **to).stdout)
    assert [each["run_id"] for each in found["runs"]] == [second.run_id, first.run_id]
    assert "Put --json after show." in run_here("runs", "--json", "show", **to).stdout
    line = f"contit-mcp ask --base-url {sandbox.url} --thread thread_"
    assert completed(line, CONTIT_API_KEY="sandbox-key") == [second.thread_id, first.thread_id]
    for which in ("0", "3", "-1", "thread_x", "x" * 500):
        failed = run_here("runs", "show", which, **to)
        assert (failed.returncode, has_clean_output(failed)) == (2 if which.startswith("-") else 1, True)
        assert 0 < len(failed.stderr) < 400
    assert len(sandbox.record.runs) == 2
    other = run_here("runs", **to | {"CONTIT_API_KEY": "another"})
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "No question is remembered.\n")
    assert completed(line, CONTIT_API_KEY="another") == []
    assert completed("contit-mcp ask --thread ") == []
    assert completed("contit-mcp sa", CONTIT_NONSENSE="x") == ["sandbox"]


# --- handle

OLD, NEW, FOREIGN = "o" * 32, "n" * 32, "f" * 32


def test_the_seal_key_alone_opens_every_caller_s_handle() -> None:
    """The old key still opens its handles. No caller is named. Without a seal key, the credential seals tasks."""
    task = TaskId("thread_1", "run_1", 1_760_000_000_123).text
    task_printed = "kind: task\nasked_at: 2025-10-09T08:53:20+00:00\nthread_id: thread_1\nrun_id: run_1\n"
    handles: list[tuple[Kind, str, str]] = [
        ("thread", "thread_1", "kind: thread\nthread_id: thread_1\n"),
        ("run", "run_1", "kind: run\nrun_id: run_1\n"),
        ("task", task, task_printed),
    ]
    for kind, text, printed in handles:
        handle = Sealer([OLD]).seal(kind, "anyone at all", text)
        opened = run_here("handle", f"  {handle}\n", CONTIT_MCP_SEAL_KEY=f"{NEW},{OLD}")
        assert (opened.returncode, opened.stdout, opened.stderr) == (0, printed, "")
    handle = sealer_of_credential("key:sandbox-key").seal("task", "anyone", task)
    assert run_here("handle", handle, CONTIT_API_KEY="sandbox-key").stdout == task_printed


def test_a_handle_that_cannot_be_opened_is_one_line_and_a_hint() -> None:
    sealed = Sealer([NEW]).seal("run", "owner", "run_1")
    for handle, key, problem in [
        (sealed, FOREIGN, "None of the keys opens this handle"),
        (sealed, "short", "No key can open it: CONTIT_MCP_SEAL_KEY cannot be used: a seal key has"),
        (sealed, "", "No key can open it: "),
        *((broken, NEW, "None of") for broken in (sealed[:-3], "run_1", "", "h1_", "h1_" + "A" * 10_000)),
    ]:
        failed = run_here("handle", handle, CONTIT_MCP_SEAL_KEY=key)
        assert (failed.returncode, failed.stdout, has_clean_output(failed)) == (1, "", True)
        assert failed.stderr.startswith(f"error: {problem}")
        assert "CONTIT_MCP_SEAL_KEY" in failed.stderr
        assert NEW not in failed.stderr


# --- help and wrong usage


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("assk", "hello"), 2, "No such command 'assk'"),
        (("install", "--sandbox"), 2, "These options need the HOST"),
        (("ask", "--thread", "t", "--run", "r", "More?"), 2, "--run fetches an answer and takes no PROMPT"),
        (("install", "claude"), 2, "'claude-desktop', 'claude-code'"),
        (("install", "cursor", "--sandbox", "--http", "https://x.example"), 2, "cannot be combined"),
        (("install", "cursor", "--token"), 2, "--token and --no-token are for --http"),
        (("install", "claude-desktop", "--http", "https://x.example"), 1, "reads no remote servers from its file"),
        (("install", "cursor", "--http", "http://x.example"), 1, "--http must begin with https://"),
        (("install", "windsurf", "--scope", "project", "--sandbox"), 1, "keeps no file for a project"),
        (("check", "--config", "no-such-file.toml"), 1, "cannot be read"),
        (("check", "--trust"), 2, "hint: Add --host HOST."),
        (("check", "--host", "cursor", "--token-file", __file__), 2, "the entry has its own settings"),
        (("stdio", "--wait-seconds", "0"), 2, "'--wait-seconds'"),
        (("sandbox", "--fault", "nonsense"), 2, "nonsense"),
        (("sandbox", "--data", "/dev/null"), 2, "hint: contit-mcp sandbox --help"),
    ],
)
def test_wrong_usage_is_one_clear_error(arguments: tuple[str, ...], code: int, said: str, home: Path) -> None:
    failed = run_here(*arguments)
    assert (failed.returncode, failed.stdout, has_clean_output(failed)) == (code, "", True)
    assert said in failed.stderr


def test_help_and_version() -> None:
    helped = run_here("--help")
    assert helped.returncode == 0
    assert "First steps:" in helped.stdout
    assert max(map(len, helped.stdout.splitlines())) < 80
    assert run_here("--version").stdout == f"contit-mcp {contit_mcp.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not on Windows")
def test_on_a_terminal_it_prints_help_and_stdio_says_that_it_waits_for_a_host() -> None:
    with on_terminal() as terminal:
        pass
    assert terminal.process.returncode == 0
    assert "Commands:" in terminal.screen()
    with on_terminal("stdio", "--sandbox") as terminal:
        terminal.wait_for(lambda: "Waiting for a host" in terminal.written)
        terminal.process.terminate()
