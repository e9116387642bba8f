"""Frameworks for agents, each before a stand-in model."""

import pytest

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version

ROWS = [
    # environment, package of the version, what its model sees, how long its calls wait
    ("google_adk", "google-adk", "both", 45),
    ("langchain", "langchain-mcp-adapters", "text", 25),
    ("langchain_mcp", "langchain", "text", 45),
    ("llama_index", "llama-index-tools-mcp", "both", 25),
    ("openai_agents", "openai-agents", "text", 25),
    ("pydantic_ai", "pydantic-ai-slim", "structure", 45),
    ("strands", "strands-agents", "text", 25),
]


@pytest.mark.parametrize(("environment", "package", "saw", "waits"), ROWS, ids=[row[0] for row in ROWS])
def test_its_model_gets_both_answers_whole_with_their_ids(
    environment: str, package: str, saw: str, waits: float, trial: Trial
) -> None:
    """The last two columns are measured."""
    python = python_packages(environment) / "python"
    row = trial.converse(
        environment,
        lambda: trial.program(f"{environment}_agent.py", python),
        version=python_version(environment, package),
    )
    assert (row.saw, row.waits) == (saw, waits)
