"""The Python SDK's own clients: of today in each mode, of the line before, and of more than a year ago."""

import json

import pytest

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
def test_2_x_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial, mode: str) -> None:
    """Each of the two stands alone (design)."""
    python = python_packages("python_sdk_2") / "python"
    version = f"{python_version('python_sdk_2', 'mcp')} {mode}"
    trial.call("Python SDK", lambda: trial.program("python_sdk_2.py", python, mode=mode), version=version)


@pytest.mark.parametrize("environment", ["python_sdk_1", "python_sdk_1_9"])
def test_1_x_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial, environment: str) -> None:
    """1.30 is the last of its line, 1.9 the first with this transport over HTTP."""
    python = python_packages(environment) / "python"
    version = python_version(environment, "mcp")
    trial.call("Python SDK", lambda: trial.program("python_sdk_1.py", python), version=version)


def test_after_a_client_s_own_time_limit_the_same_question_joins_its_run(slow_trial: Trial, question: str) -> None:
    """With a limit of 5 s, as OpenAI Agents and ADK have it by default (design, section 3)."""
    runs = len(slow_trial.bench.contit.runs)
    python = python_packages("python_sdk_2") / "python"
    found = json.loads(slow_trial.program("python_sdk_2_impatient.py", python, question=question, seconds=5))
    assert found["first"] == "timed out"
    assert found["second"]["status"] == "in_progress"
    assert found["third"]["status"] == "completed"
    (run,) = slow_trial.bench.contit.runs[runs:]
    assert found["third"]["response"] == run.turn.answer
