"""pydantic-ai, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone, and names itself after FastMCP."""
    python = python_packages("pydantic_ai") / "python"
    version = python_version("pydantic_ai", "pydantic-ai-slim")
    row = trial.converse("pydantic-ai", lambda: trial.program("pydantic_ai_agent.py", python), version=version)
    assert row.saw == "structure"
    assert row.waits == 45
