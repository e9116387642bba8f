"""A task: what its source knows of it, and how it goes over the wire."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mcp_types import CallToolResult, ErrorData, InputRequests
from mcp_types.methods import serialize_server_result


class Status(StrEnum):
    """Where a task stands; the last three never change again."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more can happen to the task."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


_PAYLOAD = {Status.COMPLETED: "result", Status.FAILED: "error", Status.INPUT_REQUIRED: "input_requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task at one moment. Times are seconds since the epoch.

    Attributes:
        task_id: By which its client asks about it; nobody else can guess it.
        status: Where it stands.
        created_at: When it was created.
        updated_at: When it last changed.
        ttl_seconds: For how long after its creation it can be asked about; None for ever.
        poll_seconds: How long a client should pause before it asks again.
        message: What a user or a model may read about it.
        result: Of a completed task: what the call would have returned, errors of the tool included.
        error: Of a failed task: the JSON-RPC error that the call would have ended with.
        input_requests: Of a task that needs input: each request by a key that the task never uses again.
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
        """Hold that a status comes with its payload, and with no other.

        Raises:
            ValueError: It does not.
        """
        there = {name for name in _PAYLOAD.values() if getattr(self, name)}
        if there != {name for status, name in _PAYLOAD.items() if status is self.status}:
            raise ValueError(f"a task that is {self.status} has {_PAYLOAD.get(self.status, 'no payload')}")

    def created(self) -> dict[str, Any]:
        """The result of the call that created it (`CreateTaskResult`)."""
        return {"resultType": "task", **self._metadata()}

    def detailed(self, protocol_version: str) -> dict[str, Any]:
        """What `tasks/get` returns and `notifications/tasks` carries (`DetailedTask`).

        The result in it has the form that `tools/call` gives it in this version of the protocol.
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
    """Whole and positive, as the specification wants them."""
    return max(1, round(seconds * 1000))
