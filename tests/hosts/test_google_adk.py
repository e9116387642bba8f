"""Google ADK, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the whole result."""
    python = python_packages("google_adk") / "python"
    version = python_version("google_adk", "google-adk")
    row = trial.converse("Google ADK", lambda: trial.program("google_adk_agent.py", python), version=version)
    assert row.saw == "both"
    assert row.waits == 45
