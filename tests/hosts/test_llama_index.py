"""LlamaIndex, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the result as Python prints it."""
    python = python_packages("llama_index") / "python"
    version = python_version("llama_index", "llama-index-tools-mcp")
    row = trial.converse("LlamaIndex", lambda: trial.program("llama_index_agent.py", python), version=version)
    assert row.saw == "both"
    assert row.waits == 25
