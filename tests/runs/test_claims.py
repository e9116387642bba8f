"""The rule that decides whether a question may start a run."""

from dataclasses import replace

import pytest

from contit_mcp.runs.claims import Busy, Deduplicated, existing_run, interrupts
from contit_mcp.runs.record import MAX_LEASE_SECONDS, Delivery, Failure, Phase, Question, RunRecord, hash_prompt

NOW = 1_000.0
OPENING = Question("owner", None, hash_prompt("q"))
FOLLOW_UP = Question("owner", "t", hash_prompt("q"))
OTHER = Question("owner", "t", hash_prompt("other"))
GOING = RunRecord("key", OPENING, NOW - 100, Delivery.OWED, Phase.IN_PROGRESS, "t", "r", started_at=NOW - 100)
ENDED = replace(GOING, phase=Phase.COMPLETED, answer="a", ended_at=NOW - 50)
STARTING = replace(GOING, phase=Phase.STARTING, started_at=None, lease_owner="p", lease_until=NOW + 1)
DELIVERED = replace(ENDED, delivery=Delivery.DELIVERED)


def test_a_first_question_may_start() -> None:
    assert existing_run(OPENING, None, now=NOW) is None


@pytest.mark.parametrize("latest", [STARTING, GOING])
def test_a_run_in_flight_deduplicates_its_own_question_and_is_busy_for_others(latest: RunRecord) -> None:
    assert existing_run(OPENING, latest, now=NOW) == Deduplicated(latest)
    assert existing_run(FOLLOW_UP, latest, now=NOW) == Deduplicated(latest)
    assert existing_run(OTHER, latest, now=NOW) == Busy(latest)


@pytest.mark.parametrize("lease_until", [NOW, NOW - 1, NOW + MAX_LEASE_SECONDS + 1, None])
def test_a_start_whose_process_died_keeps_nothing_from_starting(lease_until: float | None) -> None:
    dead = replace(STARTING, lease_until=lease_until)
    assert existing_run(OPENING, dead, now=NOW) is None
    assert interrupts(OPENING, dead, now=NOW)
    assert not interrupts(OTHER, dead, now=NOW)


def test_a_start_that_is_under_way_was_not_interrupted() -> None:
    assert not interrupts(OPENING, STARTING, now=NOW)
    assert not interrupts(OPENING, GOING, now=NOW)
    assert not interrupts(OPENING, None, now=NOW)


def test_a_run_in_flight_counts_though_its_process_died() -> None:
    """Contit continues it (documented: there is no cancel)."""
    orphan = replace(GOING, lease_owner="p", lease_until=NOW - 1)
    assert existing_run(OPENING, orphan, now=NOW) == Deduplicated(orphan)
    assert existing_run(OTHER, orphan, now=NOW) == Busy(orphan)


@pytest.mark.parametrize(
    ("latest", "question", "is_returned"),
    [
        (ENDED, OPENING, True),
        (ENDED, FOLLOW_UP, True),
        (ENDED, OTHER, False),
        (replace(ENDED, answer=None), OPENING, False),
        (replace(ENDED, phase=Phase.FAILED, failure=Failure.RUN_FAILED, answer=None), OPENING, False),
        (DELIVERED, OPENING, False),
        (DELIVERED, FOLLOW_UP, False),
        (replace(DELIVERED, replay_until=NOW), OPENING, True),
        (replace(DELIVERED, replay_until=NOW - 0.5), OPENING, False),
        (replace(DELIVERED, replay_until=NOW + 100), FOLLOW_UP, False),
        (replace(DELIVERED, replay_until=NOW + 100, answer=None), OPENING, False),
    ],
)
def test_an_answer_is_returned_to_its_question_while_it_is_owed_or_due_once_more(
    latest: RunRecord, question: Question, is_returned: bool
) -> None:
    assert existing_run(question, latest, now=NOW) == (Deduplicated(latest) if is_returned else None)


def test_a_prompts_hash_differs_for_any_change_and_does_not_show_the_prompt() -> None:
    assert hash_prompt("q") == hash_prompt("q") != hash_prompt("q ")
    assert "secret" not in hash_prompt("secret")
