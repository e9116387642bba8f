"""FastMCP's client."""

from tests.hosts.installing import python_packages
from tests.hosts.trials import Trial, python_version


def test_it_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial) -> None:
    """Each of the two stands alone (design)."""
    python = python_packages("fastmcp") / "python"
    version = python_version("fastmcp", "fastmcp")
    trial.call("FastMCP", lambda: trial.program("fastmcp_client.py", python), version=version)
