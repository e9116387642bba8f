"""The OpenAI Agents SDK, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone."""
    python = python_packages("openai_agents") / "python"
    version = python_version("openai_agents", "openai-agents")
    row = trial.converse("OpenAI Agents", lambda: trial.program("openai_agent.py", python), version=version)
    assert row.saw == "text"
    assert row.waits == 25
