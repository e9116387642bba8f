"""A task on the wire."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mcp_types import CallToolResult, ErrorData, TextContent

from contit_mcp.tasks.extension import Status, Task

RESULT = CallToolResult(content=[TextContent(type="text", text="done")], structured_content={"n": 1}, is_error=True)
COMMON: dict[str, Any] = {"task_id": "t", "created_at": 0.0, "updated_at": 1.5, "ttl_seconds": 60.0}


def test_a_completed_task_inlines_the_whole_result_as_the_call_would_have_returned_it() -> None:
    """An error of the tool is a result too (documented: Task Execution Errors)."""
    task = Task(**COMMON, status=Status.COMPLETED, result=RESULT, poll_seconds=1.0)
    assert task.detailed("2026-07-28") == {
        "taskId": "t",
        "status": "completed",
        "createdAt": "1970-01-01T00:00:00.000Z",
        "lastUpdatedAt": "1970-01-01T00:00:01.500Z",
        "ttlMs": 60_000,
        "result": {
            "content": [{"type": "text", "text": "done"}],
            "structuredContent": {"n": 1},
            "isError": True,
            "resultType": "complete",
        },
    }


def test_a_failed_task_carries_the_protocols_error_and_no_result() -> None:
    """Documented: `failed` is for JSON-RPC errors alone."""
    wire = Task(**COMMON, status=Status.FAILED, error=ErrorData(code=-32603, message="broke")).detailed("2026-07-28")
    assert wire["error"] == {"code": -32603, "message": "broke"}
    assert "result" not in wire


def test_what_a_call_returns_has_no_payload() -> None:
    """Documented: it lives on `tasks/get`."""
    wire = Task(**COMMON | {"ttl_seconds": None}, status=Status.COMPLETED, result=RESULT, message="m").created()
    assert wire["resultType"] == "task"
    assert wire["ttlMs"] is None
    assert wire["statusMessage"] == "m"
    assert not {"result", "error", "inputRequests", "requestState"} & set(wire)


@given(st.floats(0.0, 1e7), st.floats(0.0, 1e7))
def test_durations_are_whole_and_positive(ttl: float, pause: float) -> None:
    """Documented: integer milliseconds; clients would take 0 for "at once"."""
    wire = Task(**COMMON | {"ttl_seconds": ttl}, status=Status.WORKING, poll_seconds=pause).created()
    for name in ("ttlMs", "pollIntervalMs"):
        assert isinstance(wire[name], int)
        assert wire[name] >= 1
