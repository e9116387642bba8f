"""LangChain, through langchain-mcp-adapters and through its own `langchain.mcp`, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_through_the_adapters_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone; the structure is an artifact beside it."""
    python = python_packages("langchain") / "python"
    version = python_version("langchain", "langchain-mcp-adapters")
    row = trial.converse("LangChain adapters", lambda: trial.program("langchain_agent.py", python), version=version)
    assert row.saw == "text"
    assert row.waits == 25


def test_through_langchain_mcp_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone; the structure is an artifact beside it."""
    python = python_packages("langchain_mcp") / "python"
    version = python_version("langchain_mcp", "langchain")
    row = trial.converse("langchain.mcp", lambda: trial.program("langchain_mcp_agent.py", python), version=version)
    assert row.saw == "text"
