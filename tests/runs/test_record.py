"""Records whose text another version or another program wrote."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord

ENDED = RunRecord("key", Question("o", None, "h"), 1, Delivery.OWED, "t", "r", started_at=2, ended_at=3, answer="a")


def changed(record: RunRecord, **values: Any) -> RunRecord:
    return RunRecord.from_json(json.dumps(json.loads(record.to_json()) | values), record.answer)


def test_values_of_a_newer_version_are_ignored_and_its_words_have_the_nearest_meaning() -> None:
    failed = replace(ENDED, answer=None, failure=Failure.NO_ANSWER)
    record = changed(failed, colour="blue", delivery="half_delivered", failure="eaten")
    assert (record.phase, record.delivery, record.failure) == (Phase.FAILED, Delivery.DELIVERED, Failure.RUN_FAILED)


@pytest.mark.parametrize("broken", [{"asked_at": "yesterday"}, {"thread_id": None}, {"run_id": None}, {"failure": 7}])
def test_a_text_with_an_unusable_value_is_unreadable(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        changed(ENDED, **broken)
