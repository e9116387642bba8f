"""LangChain, through langchain-mcp-adapters, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone; the structure is an artifact beside it."""
    python = python_packages("langchain") / "python"
    version = python_version("langchain", "langchain-mcp-adapters")
    row = trial.converse("LangChain adapters", lambda: trial.program("langchain_agent.py", python), version=version)
    assert row.saw == "text"
    assert row.waits == 25
