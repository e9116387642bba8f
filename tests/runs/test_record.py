"""Records as rows of plain values, also of other versions and of other programs."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.runs.record import (
    ROW,
    Delivery,
    Failure,
    Phase,
    Question,
    RunRecord,
    UnreadableRecordError,
)


def usable(record: RunRecord) -> bool:
    """Whether a store can have written it: a run with a state has its ids."""
    return record.phase is Phase.STARTING or (record.thread_id is not None and record.run_id is not None)


RECORDS = st.from_type(RunRecord).filter(usable)
GOING = RunRecord("key", Question("o", None, "h"), 1.0, Delivery.OWED, Phase.IN_PROGRESS, "t", "r", started_at=2.0)
ENDED = replace(GOING, phase=Phase.COMPLETED, ended_at=3.0, answer="a")


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: RunRecord) -> None:
    row = record.to_row()
    assert tuple(row) == ROW
    assert all(value is None or isinstance(value, str | float | int) for value in row.values())
    assert RunRecord.from_row(row) == record


@given(RECORDS)
def test_a_row_of_an_older_version_lacks_optional_values_and_one_of_a_newer_version_has_more(record: RunRecord) -> None:
    row = record.to_row() | {"colour": "blue", "votes": 3}
    for name in ("cancelled", "title", "run_seconds", "replay_until"):
        del row[name]
    expected = replace(record, cancelled=(), title=None, run_seconds=None, replay_until=None)
    assert RunRecord.from_row(row) == expected


@pytest.mark.parametrize(
    ("record", "word", "phase"),
    [
        (ENDED, "archived", Phase.COMPLETED),
        (replace(ENDED, answer=None), "abandoned", Phase.FAILED),
        (GOING, "paused", Phase.IN_PROGRESS),
        (replace(GOING, thread_id=None, run_id=None), "queued", Phase.STARTING),
    ],
)
def test_the_other_values_explain_a_newer_versions_phase(record: RunRecord, word: str, phase: Phase) -> None:
    assert RunRecord.from_row(record.to_row() | {"phase": word}).phase is phase


def test_other_words_of_a_newer_version_have_the_nearest_meaning() -> None:
    row = ENDED.to_row() | {"delivery": "half_delivered", "failure": "eaten"}
    record = RunRecord.from_row(row)
    assert (record.delivery, record.failure) == (Delivery.DELIVERED, Failure.RUN_FAILED)


@pytest.mark.parametrize(
    "broken",
    [
        {"owner": None},
        {"prompt_hash": 7},
        {"asked_at": "yesterday"},
        {"asked_at": None},
        {"thread_id": 5},
        {"run_id": None},
        {"answer": ["a"]},
        {"cancelled": "1 two"},
        {"cancelled": None},
        {"started_at": "2"},
        {"lease_until": {}},
        {"title": 1},
        {"phase": None, "thread_id": None, "ended_at": 1.0},
    ],
)
def test_a_row_with_an_unusable_value_is_unreadable(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecordError):
        RunRecord.from_row(ENDED.to_row() | broken)


@given(st.dictionaries(st.sampled_from(ROW), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_any_row_is_a_record_or_unreadable(row: dict[str, Any]) -> None:
    try:
        record = RunRecord.from_row(row)
    except UnreadableRecordError:
        return
    assert record.to_row()
