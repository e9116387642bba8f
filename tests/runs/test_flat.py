"""Records as plain values."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.runs.flat import NAMES, from_flat, to_flat
from contit_mcp.runs.record import RunRecord

RECORDS = st.from_type(RunRecord)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: RunRecord) -> None:
    """Whatever it holds; every value is one that a row or a JSON text can keep (our choice)."""
    flat = to_flat(record)
    assert list(flat) == NAMES
    assert all(value is None or isinstance(value, str | float | int) for value in flat.values())
    assert from_flat(flat) == record


@given(RECORDS)
def test_a_record_of_a_version_that_knew_no_cancelling_is_one_that_nobody_cancelled(record: RunRecord) -> None:
    """Replicas of two versions can share a Redis while they are being replaced (our choice)."""
    flat = to_flat(record)
    del flat["cancelled"]
    assert from_flat(flat) == replace(record, cancelled=())
