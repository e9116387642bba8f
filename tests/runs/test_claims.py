"""The rule that decides whether a question may start a run."""

from dataclasses import replace

import pytest

from contit_mcp.runs.claims import Busy, Claim, Joined, ReplayPolicy, delivery_after, existing_run, interrupts
from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord, hash_prompt

NOW = 1_000.0
POLICY = ReplayPolicy()
OPENING = Question("owner", None, hash_prompt("q"))
FOLLOW_UP = Question("owner", "t", hash_prompt("q"))
OTHER = Question("owner", "t", hash_prompt("other"))
ENDED = RunRecord(
    "key", OPENING, NOW - 100, Delivery.AWAITED, Phase.COMPLETED, "t", "r", NOW - 100, NOW - 50, NOW - 50, answer="a"
)


def decide(question: Question, latest: RunRecord | None, now: float = NOW) -> Claim | None:
    """The rule with the default policy."""
    return existing_run(question, latest, now=now, policy=POLICY)


def test_a_first_question_may_start() -> None:
    """Nothing stands in its way (our choice)."""
    assert decide(OPENING, None) is None


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.IN_PROGRESS])
def test_a_run_in_flight_is_joined_by_its_own_question_and_busy_for_others(phase: Phase) -> None:
    """One run a thread, one run a question (our choice)."""
    latest = replace(ENDED, phase=phase, answer=None, ended_at=None, holder="h", held_until=NOW + 1)
    assert decide(OPENING, latest) == Joined(latest)
    assert decide(FOLLOW_UP, latest) == Joined(latest)
    assert decide(OTHER, latest) == Busy(latest)


def test_a_start_whose_process_died_stands_in_nobodys_way() -> None:
    """Its hold was not renewed; whoever asks the same is told that it may run twice (our choice)."""
    dead = replace(ENDED, phase=Phase.STARTING, answer=None, ended_at=None, holder="h", held_until=NOW)
    assert decide(OPENING, dead) is None
    assert interrupts(OPENING, dead, now=NOW)
    assert not interrupts(OTHER, dead, now=NOW)
    assert not interrupts(OPENING, replace(dead, held_until=NOW + 1), now=NOW)
    assert not interrupts(OPENING, replace(dead, phase=Phase.IN_PROGRESS), now=NOW)
    assert not interrupts(OPENING, None, now=NOW)


def test_a_run_in_flight_is_joined_though_its_process_died() -> None:
    """Contit goes on with it (documented: there is no cancel)."""
    orphan = replace(ENDED, phase=Phase.IN_PROGRESS, answer=None, ended_at=None, holder="h", held_until=NOW - 1)
    assert decide(OPENING, orphan) == Joined(orphan)
    assert decide(OTHER, orphan) == Busy(orphan)


@pytest.mark.parametrize(
    ("latest", "question", "joins"),
    [
        (ENDED, OPENING, True),
        (ENDED, FOLLOW_UP, True),
        (ENDED, OTHER, False),
        (replace(ENDED, answer=None), OPENING, False),
        (replace(ENDED, phase=Phase.FAILED, failure=Failure.RUN_FAILED, answer=None), OPENING, False),
        (replace(ENDED, delivery=Delivery.DELIVERED), OPENING, False),
        (replace(ENDED, delivery=Delivery.HANDED_OVER), OPENING, False),
        (replace(ENDED, delivery=Delivery.HANDING_OVER), FOLLOW_UP, True),
        (replace(ENDED, delivery=Delivery.SENDING), FOLLOW_UP, True),
        (replace(ENDED, delivery=Delivery.UNSURE), OPENING, True),
        (replace(ENDED, delivery=Delivery.UNSURE), FOLLOW_UP, False),
        (replace(ENDED, delivery=Delivery.UNSURE, delivered_at=NOW - 120), OPENING, True),
        (replace(ENDED, delivery=Delivery.UNSURE, delivered_at=NOW - 120.5), OPENING, False),
        (replace(ENDED, delivery=Delivery.UNSURE, delivered_at=None), OPENING, False),
    ],
)
def test_an_answer_is_given_again_only_to_who_may_not_have_it(
    latest: RunRecord, question: Question, joins: bool
) -> None:
    """Awaited by someone who left, or unsure in a new conversation within two minutes (our choice)."""
    assert decide(question, latest) == (Joined(latest) if joins else None)


@pytest.mark.parametrize(
    ("question", "seconds", "delivery"),
    [
        (OPENING, 4.0, Delivery.DELIVERED),
        (OPENING, 4.1, Delivery.UNSURE),
        (FOLLOW_UP, 99.0, Delivery.DELIVERED),
    ],
)
def test_delivery_is_unsure_only_after_a_slow_call_that_began_a_conversation(
    question: Question, seconds: float, delivery: Delivery
) -> None:
    """Its host may have given up before (our choice)."""
    record = replace(ENDED, question=question)
    assert delivery_after(record, call_seconds=seconds, policy=POLICY) is delivery


def test_a_prompts_hash_tells_nothing_of_it_and_differs_for_any_change() -> None:
    """Only equality can be seen (our choice)."""
    assert hash_prompt("q") == hash_prompt("q") != hash_prompt("q ")
    assert "secret" not in hash_prompt("secret")
