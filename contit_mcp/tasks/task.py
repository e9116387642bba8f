"""A task, and its form on the wire."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mcp_types import CallToolResult, ErrorData, InputRequests
from mcp_types.methods import serialize_server_result


class Status(StrEnum):
    """The status of a task; the last three are final."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Return whether the status is final."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


_PAYLOAD = {Status.COMPLETED: "result", Status.FAILED: "error", Status.INPUT_REQUIRED: "input_requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task at one moment. Times are seconds since the epoch.

    Attributes:
        task_id: Names the task in requests; it cannot be guessed.
        status: The current status.
        created_at: When it was created.
        updated_at: When it last changed.
        ttl_seconds: How long after its creation it can be polled; None for ever.
        poll_seconds: How long a client should pause before it asks again.
        message: A text about it for a user or a model.
        result: The result that the call would have returned, also an error of the tool; if completed.
        error: The JSON-RPC error that the call would have returned; if failed.
        input_requests: The requests for input by key, each used once; if input is required.
    """

    task_id: str
    status: Status
    created_at: float
    updated_at: float
    ttl_seconds: float | None
    poll_seconds: float | None = None
    message: str | None = None
    result: CallToolResult | None = None
    error: ErrorData | None = None
    input_requests: InputRequests = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the task has the payload of its status and no other.

        Raises:
            ValueError: It does not.
        """
        there = {name for name in _PAYLOAD.values() if getattr(self, name)}
        if there != {name for status, name in _PAYLOAD.items() if status is self.status}:
            raise ValueError(f"a task that is {self.status} has {_PAYLOAD.get(self.status, 'no payload')}")

    def created(self) -> dict[str, Any]:
        """Return the result of the call that created it (`CreateTaskResult`)."""
        return {"resultType": "task", **self._metadata()}

    def detailed(self, protocol_version: str) -> dict[str, Any]:
        """Return the result of `tasks/get` (`DetailedTask`).

        The result in it has the form of `tools/call` in this version of the protocol.
        """
        wire = self._metadata()
        if self.result is not None:
            plain = self.result.model_dump(by_alias=True, mode="json", exclude_none=True)
            wire["result"] = serialize_server_result("tools/call", protocol_version, plain)
        if self.error is not None:
            wire["error"] = self.error.model_dump(by_alias=True, mode="json", exclude_none=True)
        if self.input_requests:
            wire["inputRequests"] = {
                key: request.model_dump(by_alias=True, mode="json", exclude_none=True)
                for key, request in self.input_requests.items()
            }
        return wire

    def _metadata(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "taskId": self.task_id,
            "status": self.status.value,
            "createdAt": _iso(self.created_at),
            "lastUpdatedAt": _iso(self.updated_at),
            "ttlMs": None if self.ttl_seconds is None else _milliseconds(self.ttl_seconds),
        }
        if self.poll_seconds is not None and not self.status.terminal:
            wire["pollIntervalMs"] = _milliseconds(self.poll_seconds)
        if self.message is not None:
            wire["statusMessage"] = self.message
        return wire


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> int:
    """Return a whole positive number, as the specification requires."""
    return max(1, round(seconds * 1000))
