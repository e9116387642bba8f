"""A record as plain values by name, for stores that keep rows or texts."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from contit_mcp.runs.record import Delivery, Failure, Phase, Question, RunRecord

_OF_RECORD = [field.name for field in fields(RunRecord) if field.name != "question"]
_OF_QUESTION = {"owner": "owner", "asked_thread_id": "thread_id", "prompt_hash": "prompt_hash"}

NAMES = [*_OF_RECORD, *_OF_QUESTION]
"""All names, always in this order."""


def to_flat(record: RunRecord) -> dict[str, str | float | None]:
    """Text, numbers and None by name."""
    flat = {name: getattr(record, name) for name in _OF_RECORD} | {
        name: getattr(record.question, field) for name, field in _OF_QUESTION.items()
    }
    return flat | {"cancelled": " ".join(map(str, record.cancelled))}


def from_flat(values: Mapping[str, Any]) -> RunRecord:
    """The record again.

    Raises:
        KeyError, ValueError: It was written by something else.
    """
    failure = values["failure"]
    plain = {name: values[name] for name in _OF_RECORD if name != "cancelled"} | {
        "phase": Phase(values["phase"]),
        "delivery": Delivery(values["delivery"]),
        "failure": None if failure is None else Failure(failure),
        # A replica of the version before, on the same Redis, writes none.
        "cancelled": tuple(map(int, values.get("cancelled", "").split())),
    }
    return RunRecord(question=Question(**{field: values[name] for name, field in _OF_QUESTION.items()}), **plain)
