"""Strands, before a stand-in model."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone."""
    python = python_packages("strands") / "python"
    version = python_version("strands", "strands-agents")
    row = trial.converse("Strands", lambda: trial.program("strands_agent.py", python), version=version)
    assert row.saw == "text"
    assert row.waits == 25
