"""The one window that cannot be closed: a start was sent, and nobody has stored its ids. A retry says so."""

from collections.abc import Callable

import pytest
from mcp_types import CallToolResult, TextContent

from contit_mcp.assistant.reports import RunReport
from contit_mcp.errors import StartUnknownError
from contit_mcp.runs.record import Phase
from contit_mcp.server.results import answer_result, handle_result
from tests.durability.world import World, answered
from tests.stage import OWNER


@pytest.mark.parametrize("after", [0.06, 0.09, 0.1], ids=["accepted", "answered", "before its ids were stored"])
def test_a_crash_between_sending_a_start_and_storing_its_ids_starts_anew_and_says_so(
    world: World, after: float
) -> None:
    """The one window that cannot be closed: Contit has no idempotency key (documented)."""
    world.shared.seconds = 0.0 if after < 0.1 else 0.2
    world.contit.lasts = 10.0
    world.ask(0, OWNER, "q", None, 45.0)
    while not world.history.runs:
        world.pass_time(0.005)
    world.pass_time(after - 0.06)
    world.kill(0)
    (unknown,) = world.history.runs
    assert not unknown.stored
    asked = world.now
    retry = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(24.0)
    assert len(world.history.runs) == 1, "the intent stands for 25 s"
    world.pass_time(45.0)
    assert answered(retry) == "run_2 answers 'q'"
    assert retry.report is not None
    assert retry.report.maybe_twice
    assert world.history.runs[1].sent - asked < 25.5
    assert world.history.counts["the named window was hit, and the question asked again"] == 1


@pytest.mark.parametrize("refusal", ["429", "503"])
def test_a_retry_that_is_refused_leaves_the_warning_to_the_next_one(world: World, refusal: str) -> None:
    """The run of the first may still exist."""
    world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(0.06)
    world.kill(0)
    world.pass_time(26.0)
    world.contit.refusals += [refusal] * 4
    refused = world.ask(1, OWNER, "q", None, 1.0)
    world.pass_time(3.0)
    assert refused.error is not None
    world.contit.refusals.clear()
    again = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(30.0)
    assert again.report is not None
    assert again.report.maybe_twice


@pytest.mark.parametrize("result", [answer_result, handle_result])
def test_the_tool_says_that_the_question_may_have_run_twice(result: Callable[[RunReport], CallToolResult]) -> None:
    for phase, response in ((Phase.COMPLETED, "a"), (Phase.IN_PROGRESS, None)):
        told = result(RunReport(phase, "t", "r", response=response, maybe_twice=True))
        assert "may have run it twice" in str(told.structured_content)
        assert any("may have run it twice" in b.text for b in told.content if isinstance(b, TextContent))


def test_a_start_of_unknown_fate_is_not_sent_again_by_who_joined_it_in_another_process(world: World) -> None:
    world.contit.replies = 60.0
    first = world.ask(0, OWNER, "q", None, 45.0)
    world.pass_time(1.0)
    second = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(20.0)
    assert isinstance(first.error, StartUnknownError)
    assert isinstance(second.error, StartUnknownError)
    assert len(world.history.runs) == 1
    world.contit.replies = 0.05
    third = world.ask(1, OWNER, "q", None, 45.0)
    world.pass_time(30.0)
    assert third.report is not None
    assert third.report.maybe_twice
