"""Prompts and resources with real clients: listed, completed, used and read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contit_mcp.server.prompts import jobs
from tests.hosts.bench import answer_of
from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.test_inspector import inspect
from tests.hosts.test_typescript_sdk import NEW, OLD
from tests.hosts.trials import PROGRAMS, Trial

ITALIAN = "Chiedi a Contit con contit_ask"
TEMPLATE = "contit://runs/{thread_id}/{run_id}"


def assert_all_of_it(trial: Trial, found: dict[str, Any]) -> None:
    """Every prompt is there, one is completed and filled in; the answer just given is a resource with all its text."""
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


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_the_python_sdk_lists_completes_and_uses_them(trial: Trial, mode: str, question: str) -> None:
    """In both eras."""
    python = python_packages("python_sdk_2") / "python"
    assert_all_of_it(trial, json.loads(trial.program("python_sdk_2_more.py", python, mode=mode, question=question)))


def test_fastmcp_lists_completes_and_uses_them(trial: Trial, question: str) -> None:
    """Its client of today."""
    python = python_packages("fastmcp") / "python"
    assert_all_of_it(trial, json.loads(trial.program("fastmcp_more.py", python, question=question)))


@pytest.mark.parametrize(
    ("program", "mode"),
    [("typescript_1_more.mjs", ""), ("typescript_2_more.mjs", "legacy"), ("typescript_2_more.mjs", "2026-07-28")],
)
def test_the_typescript_sdk_lists_completes_and_uses_them(trial: Trial, program: str, mode: str, question: str) -> None:
    """Both lines, the newer one in both eras."""
    place = npm_packages("typescript_sdk", OLD, NEW).parents[1] / program
    shutil.copy(PROGRAMS / program, place)
    given = trial.program(str(place), node() / "node", mode=mode, question=question)
    assert_all_of_it(trial, json.loads(given))


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_uses_them(trial: Trial, era: str, question: str) -> None:
    """One process a request; its command line has no completion. In the newer era it lists skills too."""

    def names(method: str, kind: str, name: str) -> list[str]:
        return [each[name] for each in inspect(trial, era, "--method", method)[kind]]

    assert names("prompts/list", "prompts", "name") == list(jobs())
    how = ("--prompt-name", "drafts_waiting", "--prompt-args", "language=it")
    prompt = inspect(trial, era, "--method", "prompts/get", *how)
    assert prompt["messages"][0]["content"]["text"].startswith(ITALIAN)
    call = ("--tool-name", "contit_ask", "--tool-args-json", json.dumps({"prompt": question}))
    asked = inspect(trial, era, "--method", "tools/call", *call)["structuredContent"]
    uri = f"contit://runs/{asked['thread_id']}/{asked['run_id']}"
    assert {"contit://guide", "contit://runs", uri} <= set(names("resources/list", "resources", "uri"))
    assert names("resources/templates/list", "resourceTemplates", "uriTemplate") == [TEMPLATE]
    answer = inspect(trial, era, "--method", "resources/read", "--uri", uri)
    assert answer["contents"][0]["text"] == asked["response"]
    if era == "modern":
        assert len(names("skills/list", "skills", "uri")) == len(jobs())


def test_the_programs_are_all_used() -> None:
    """A program that no test names would be dead."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    assert all(path.name in tests for path in PROGRAMS.iterdir() if path.suffix in {".py", ".mjs"})
