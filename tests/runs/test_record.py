"""Records as texts, also of other versions and of other programs."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TIMES = st.floats(0, 4e9)
RECORDS = st.builds(
    RunRecord,
    TEXTS,
    st.builds(Question, TEXTS, st.none() | TEXTS, TEXTS),
    TIMES,
    st.sampled_from(Delivery),
    TEXTS,
    TEXTS,
    **dict.fromkeys(("started_at", "ended_at", "run_seconds", "replay_until", "lease_until"), st.none() | TIMES),
    **dict.fromkeys(("answer", "lease_owner", "title"), st.none() | TEXTS),
    failure=st.none() | st.sampled_from(Failure),
    cancelled=st.lists(st.integers(0, 2**53)).map(tuple),
)
ENDED = RunRecord(
    "key", Question("o", None, "h"), 1.0, Delivery.OWED, "t", "r", started_at=2.0, ended_at=3.0, answer="a"
)


def changed(record: RunRecord, **values: Any) -> RunRecord:
    return RunRecord.from_json(json.dumps(json.loads(record.to_json()) | values), record.answer)


@given(RECORDS)
def test_a_record_comes_back_as_it_was_and_its_text_has_no_answer(record: RunRecord) -> None:
    assert RunRecord.from_json(record.to_json(), record.answer) == record
    assert json.loads(record.to_json()).keys().isdisjoint({"answer", "phase"})


def test_values_of_a_newer_version_are_ignored_and_its_words_have_the_nearest_meaning() -> None:
    failed = replace(ENDED, answer=None, failure=Failure.NO_ANSWER)
    record = changed(failed, colour="blue", delivery="half_delivered", failure="eaten")
    assert (record.phase, record.delivery, record.failure) == (Phase.FAILED, Delivery.DELIVERED, Failure.RUN_FAILED)


@pytest.mark.parametrize(
    "broken",
    [
        {"question": None},
        {"question": {"owner": "o", "thread_id": None, "prompt_hash": 7}},
        {"asked_at": "yesterday"},
        {"thread_id": 5},
        {"thread_id": None},
        {"run_id": None},
        {"cancelled": "1 two"},
        {"delivery": None},
        {"failure": 7},
        {"lease_until": {}},
    ],
    ids=str,
)
def test_a_text_with_an_unusable_value_is_unreadable(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        changed(ENDED, **broken)
