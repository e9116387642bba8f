"""Frameworks for agents, each before a stand-in model."""

import pytest

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial

MEASURED = [
    # environment, what its model sees, how long its calls wait
    ("google_adk", "both", 45),
    ("langchain", "text", 25),
    ("langchain_mcp", "text", 45),
    ("llama_index", "both", 25),
    ("openai_agents", "text", 25),
    ("pydantic_ai", "structure", 45),
    ("strands", "text", 25),
]


@pytest.mark.parametrize(("environment", "saw", "waits"), MEASURED)
def test_its_model_gets_both_answers_whole_with_their_ids(
    environment: str, saw: str, waits: float, trial: Trial
) -> None:
    python = python_packages(environment) / "python"
    assert trial.converse(lambda: trial.program(f"{environment}_agent.py", python)) == (saw, waits)
