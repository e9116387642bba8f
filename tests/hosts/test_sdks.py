"""Clients without a model: of the SDKs, of FastMCP, and the MCP Inspector's command line."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from contit_mcp.server.prompts import jobs
from tests.hosts.bench import FOLLOW_UP, PROGRAMS, QUESTION, Trial
from tests.hosts.installing import node, npm_packages, python_packages

MODES = ("legacy", "2026-07-28", "auto")
ASKING = [
    # environment, program, mode
    *(("python_sdk_2", "python_sdk_2.py", mode) for mode in MODES),
    ("python_sdk_1", "python_sdk_1.py", ""),  # the last of its line
    ("python_sdk_1_9", "python_sdk_1.py", ""),  # the first with this transport over HTTP
    ("fastmcp", "fastmcp_client.py", ""),
    *(("", "typescript_2.mjs", mode) for mode in MODES),  # it checks the structure against the published schema
    ("", "typescript_1.mjs", ""),
]


def run_program(trial: Trial, environment: str, program: str, **given: object) -> str:
    """Run a program and return its stdout: in its Python environment, or beside the packages that TypeScript needs."""
    if environment:
        return trial.program(program, python_packages(environment) / "python", **given)
    folder = npm_packages("typescript_sdk", "@modelcontextprotocol/sdk", "@modelcontextprotocol/client").parents[1]
    with TemporaryDirectory(dir=folder) as beside:
        for name in (program, "jobs.mjs"):
            shutil.copy(PROGRAMS / name, beside)
        return trial.program(f"{beside}/{program}", node() / "node", **given)


@pytest.mark.parametrize(("environment", "program", "mode"), ASKING)
def test_a_client_gets_the_answers_and_ids_in_text_and_in_structure(
    environment: str, program: str, mode: str, trial: Trial
) -> None:
    trial.check_program(lambda: run_program(trial, environment, program, mode=mode))


@pytest.mark.parametrize("long_trial", ["stdio", "http+token"], indirect=True)
def test_fastmcp_asks_by_a_task_that_it_polls_by_itself(long_trial: Trial) -> None:
    """It does not send the header Mcp-Name (seen with fastmcp-tasks 4.1.2)."""
    known = len(long_trial.entry.calls())
    long_trial.check_program(lambda: run_program(long_trial, "fastmcp_tasks", "fastmcp_client.py"))
    first, *polls = [(call["tool"], call["outcome"]) for call in long_trial.entry.calls()[known:]]
    assert first == ("contit_ask", "task")
    assert ("tasks/get", "completed") in polls


# Without the old SDK, whose program only asks, and without "auto", which chooses one of the other two modes.
LISTING = [row for row in ASKING if "python_sdk_1.py" not in row and "auto" not in row]


@pytest.mark.parametrize(("environment", "program", "mode"), LISTING)
def test_a_client_lists_completes_and_uses_prompts_and_resources(
    environment: str, program: str, mode: str, trial: Trial, question: str
) -> None:
    """The whole answer is a resource. Only a server for one person lists its title."""
    found = json.loads(run_program(trial, environment, program, job="more", mode=mode, question=question))
    asked, (guide, runs, answer) = found["asked"], found["read"]
    uri = f"contit://runs/{asked['thread_id']}/{asked['run_id']}"
    assert found["prompts"] == list(jobs())
    assert found["completed"] == ["it"]
    assert found["prompt"].startswith("Chiedi a Contit con contit_ask")
    assert {"contit://guide", "contit://runs", uri} <= set(found["resources"])
    assert found["templates"] == ["contit://runs/{thread_id}/{run_id}"]
    assert asked["thread_id"] in found["threads"]
    assert guide.startswith("# How to ask Contit")
    listed = json.loads(runs)["runs"][0]
    assert listed["uri"] == uri
    assert ("title" in listed) == (trial.entry.token is None)
    assert answer == asked["response"] == trial.bench.contit.runs[-1].turn.answer


# --- The Inspector


def inspect(trial: Trial, era: str, *arguments: str) -> dict[str, Any]:
    """Send one request with the Inspector, and return its result."""
    entry = trial.entry
    if entry.command:
        variables = [part for name, value in entry.environment.items() for part in ("-e", f"{name}={value}")]
        target: list[str | Path] = [*variables, "--", entry.command, "stdio"]
    else:
        headers = [part for name, value in entry.headers.items() for part in ("--header", f"{name}: {value}")]
        target = ["--transport", "http", "--server-url", entry.url, *headers]
    command = npm_packages("inspector", "@modelcontextprotocol/inspector") / "mcp-inspector"
    options = ["--cli", "--format", "json", "-q", "--stored-auth-only", "--protocol-era", era]
    found: dict[str, Any] = json.loads(trial.run([command, *options, *arguments, *target], node()))["result"]
    return found


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial, era: str) -> None:
    """Its check `--strict` accepts the schemas, and it lists the skills."""

    def ask(**arguments: str) -> dict[str, Any]:
        call = ("--method", "tools/call", "--tool-name", "contit_ask", "--tool-args-json", json.dumps(arguments))
        return inspect(trial, era, *call)

    def start() -> str:
        strict = ["--strict"] if era == "legacy" else []
        tools = [tool["name"] for tool in inspect(trial, era, *strict, "--method", "tools/list")["tools"]]
        first = ask(prompt=QUESTION)
        second = ask(prompt=FOLLOW_UP, thread_id=first["structuredContent"]["thread_id"])
        results = [
            {"content": it["content"], "structured": it["structuredContent"], "isError": it.get("isError", False)}
            for it in (first, second)
        ]
        return json.dumps({"tools": tools, "results": results})

    trial.check_program(start)
    if era == "modern":
        assert len(inspect(trial, era, "--method", "skills/list")["skills"]) == len(jobs())
