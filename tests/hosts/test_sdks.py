"""Clients of the SDKs, and FastMCP's: the tools, prompts and resources in each mode, and a client's own time limit."""

import json
import shutil
from tempfile import TemporaryDirectory

import pytest

from contit_mcp.server.prompts import jobs
from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.trials import ITALIAN, PROGRAMS, TEMPLATE, Trial

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


def output_of(trial: Trial, environment: str, program: str, **given: object) -> str:
    """Run a program in its environment in Python; one in TypeScript where it finds its packages: beside them."""
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
    """Each of the two stands alone (design)."""
    trial.call(lambda: output_of(trial, environment, program, mode=mode))


@pytest.mark.parametrize("long_trial", ["stdio", "http+token"], indirect=True)
def test_fastmcp_asks_by_a_task_that_it_polls_by_itself(long_trial: Trial) -> None:
    """Also without the header Mcp-Name, which it does not send (seen with fastmcp-tasks 4.1.2)."""
    known = len(long_trial.entry.calls())
    long_trial.call(lambda: output_of(long_trial, "fastmcp_tasks", "fastmcp_client.py"))
    first, *polls = [(call["tool"], call["outcome"]) for call in long_trial.entry.calls()[known:]]
    assert first == ("contit_ask", "task")
    assert ("tasks/get", "completed") in polls


def test_after_a_client_s_own_time_limit_the_same_question_joins_its_run(slow_trial: Trial, question: str) -> None:
    """With a limit of 5 s, as OpenAI Agents and ADK have it by default (design, section 3)."""
    runs = len(slow_trial.bench.contit.runs)
    given = {"job": "impatient", "mode": "auto", "question": question, "seconds": 5}
    found = json.loads(output_of(slow_trial, "python_sdk_2", "python_sdk_2.py", **given))
    assert found["first"] == "timed out"
    assert found["second"]["status"] == "in_progress"
    assert found["third"]["status"] == "completed"
    (run,) = slow_trial.bench.contit.runs[runs:]
    assert found["third"]["response"] == run.turn.answer


@pytest.mark.parametrize(
    ("environment", "program", "mode"),
    [
        ("python_sdk_2", "python_sdk_2.py", "legacy"),
        ("python_sdk_2", "python_sdk_2.py", "2026-07-28"),
        ("fastmcp", "fastmcp_client.py", ""),
        ("", "typescript_1.mjs", ""),
        ("", "typescript_2.mjs", "legacy"),
        ("", "typescript_2.mjs", "2026-07-28"),
    ],
)
def test_a_client_lists_completes_and_uses_prompts_and_resources(
    environment: str, program: str, mode: str, trial: Trial, question: str
) -> None:
    """The answer just given is a resource with all its text; only a server for one person gives its title."""
    found = json.loads(output_of(trial, environment, program, job="more", mode=mode, question=question))
    asked, (guide, runs, answer) = found["asked"], found["read"]
    uri = f"contit://runs/{asked['thread_id']}/{asked['run_id']}"
    assert found["prompts"] == list(jobs())
    assert found["completed"] == ["it"]
    assert found["prompt"].startswith(ITALIAN)
    assert {"contit://guide", "contit://runs", uri} <= set(found["resources"])
    assert found["templates"] == [TEMPLATE]
    assert asked["thread_id"] in found["threads"]
    assert guide.startswith("# How to ask Contit")
    listed = json.loads(runs)["runs"][0]
    assert listed["uri"] == uri
    assert ("title" in listed) == (trial.entry.token is None)
    assert answer == asked["response"] == trial.bench.contit.runs[-1].turn.answer
