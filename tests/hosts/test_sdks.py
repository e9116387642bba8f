"""Clients of the SDKs, and FastMCP's: the tools, prompts and resources in each mode, and a client's own time limit."""

import json
import shutil
from pathlib import Path

import pytest

from contit_mcp.server.prompts import jobs
from tests.hosts.bench import answer_of
from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.trials import ITALIAN, PROGRAMS, TEMPLATE, Trial, npm_version, python_version

OLD, NEW = "@modelcontextprotocol/sdk", "@modelcontextprotocol/client"
MODES = ("legacy", "2026-07-28", "auto")
IN_PYTHON = [
    # environment, package, program, mode
    *(("python_sdk_2", "mcp", "python_sdk_2.py", mode) for mode in MODES),
    ("python_sdk_1", "mcp", "python_sdk_1.py", ""),  # the last of its line
    ("python_sdk_1_9", "mcp", "python_sdk_1.py", ""),  # the first with this transport over HTTP
    ("fastmcp", "fastmcp", "fastmcp_client.py", ""),
]
IN_TYPESCRIPT = [(NEW, "typescript_2.mjs", mode) for mode in MODES] + [(OLD, "typescript_1.mjs", "")]


def typescript(trial: Trial, program: str, mode: str, **more: str) -> str:
    """Run a program where it finds its packages: beside them."""
    place = npm_packages("typescript_sdk", OLD, NEW).parents[1] / program
    shutil.copy(PROGRAMS / program, place)
    return trial.program(str(place), node() / "node", mode=mode, **more)


@pytest.mark.parametrize(("environment", "package", "program", "mode"), IN_PYTHON)
def test_a_client_in_python_gets_the_answers_and_ids_in_text_and_in_structure(
    environment: str, package: str, program: str, mode: str, trial: Trial
) -> None:
    """Each of the two stands alone (design)."""
    version = f"{python_version(environment, package)} {mode}".strip()
    python = python_packages(environment) / "python"
    trial.call(environment, lambda: trial.program(program, python, mode=mode), version=version)


@pytest.mark.parametrize(("package", "program", "mode"), IN_TYPESCRIPT)
def test_a_client_in_typescript_gets_the_answers_and_ids_in_text_and_in_structure(
    package: str, program: str, mode: str, trial: Trial
) -> None:
    """The newer one checks the structure against the published schema."""
    version = f"{npm_version(package)} {mode}".strip()
    trial.call("TypeScript SDK", lambda: typescript(trial, program, mode), version=version)


def test_after_a_client_s_own_time_limit_the_same_question_joins_its_run(slow_trial: Trial, question: str) -> None:
    """With a limit of 5 s, as OpenAI Agents and ADK have it by default (design, section 3)."""
    runs = len(slow_trial.bench.contit.runs)
    python = python_packages("python_sdk_2") / "python"
    given = {"job": "impatient", "mode": "auto", "question": question, "seconds": 5}
    found = json.loads(slow_trial.program("python_sdk_2.py", python, **given))
    assert found["first"] == "timed out"
    assert found["second"]["status"] == "in_progress"
    assert found["third"]["status"] == "completed"
    (run,) = slow_trial.bench.contit.runs[runs:]
    assert found["third"]["response"] == run.turn.answer


@pytest.mark.parametrize(
    ("program", "mode"),
    [
        ("python_sdk_2.py", "legacy"),
        ("python_sdk_2.py", "2026-07-28"),
        ("fastmcp_client.py", ""),
        ("typescript_1_more.mjs", ""),
        ("typescript_2_more.mjs", "legacy"),
        ("typescript_2_more.mjs", "2026-07-28"),
    ],
)
def test_a_client_lists_completes_and_uses_prompts_and_resources(
    program: str, mode: str, trial: Trial, question: str
) -> None:
    """The answer just given is a resource with all its text; only a server for one person gives its title."""
    if program.endswith(".mjs"):
        found = json.loads(typescript(trial, program, mode, question=question))
    else:
        python = python_packages(program.removesuffix("_client.py").removesuffix(".py")) / "python"
        found = json.loads(trial.program(program, python, job="more", mode=mode, question=question))
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
    assert answer == asked["response"] == answer_of(trial.bench.contit.runs[-1])


def test_the_programs_are_all_used() -> None:
    """A program that nothing names would be dead."""
    files = [*Path(__file__).parent.glob("*.py"), *PROGRAMS.iterdir()]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    programs = [path for path in PROGRAMS.iterdir() if path.suffix in {".py", ".mjs"}]
    assert all(path.name in text or path.stem.removesuffix("_agent") in text for path in programs)
