"""What the Tasks extension requires, asked by the official suite of our tasks module on our HTTP stack."""

from collections.abc import Iterator

import pytest

from tests.conformance.tasks_suite import LEFT_OUT, SCENARIOS, run_scenario, tasks_server

pytestmark = pytest.mark.xdist_group("tasks")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The server with the suite's tools."""
    with tasks_server() as url:
        yield url


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_check_of_a_scenario_passes(url: str, scenario: str) -> None:
    """Documented: SEP-2663, as the suite reads it."""
    found = run_scenario(url, scenario)
    assert len(found) > 1, "the check of the wire's form alone does not count"
    assert {check: status for check, status in found.items() if status != "SUCCESS"} == {}


@pytest.mark.parametrize("scenario", LEFT_OUT)
def test_what_is_left_out_is_what_the_suite_leaves_out(url: str, scenario: str) -> None:
    """As soon as it asks, it counts; what it would ask is held by tests/tasks/test_notifications.py."""
    assert all(status.startswith("SKIPPED") for status in run_scenario(url, scenario).values())
