"""Faults, scripted answers, and the control endpoint that sets both."""

import json
import re
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from contit_mcp.sandbox import options as sandbox_options
from contit_mcp.sandbox.options import DataError, SandboxOptions, load_answers, parse_fault
from contit_mcp.testing import running_sandbox
from tests.sandbox.conftest import START, Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fault", "status", "shows"),
    [("503 retry_after=3", 503, ""), ("redirect", 302, ""), ("html", 200, "<html"), ("html-error", 502, "<html"),
     ("malformed", 200, "{"), ("missing-field", 200, "{}"), ("empty", 200, "")],
)  # fmt: skip
async def test_a_fault_happens_as_often_as_ordered(sandbox: Sandbox, fault: str, status: int, shows: str) -> None:
    sandbox.record.add_fault(parse_fault(f"{fault} on=start after=1 times=1"))
    assert set((await sandbox.start()).json()) == {"threadId", "runId"}
    answer = await sandbox.start()
    assert answer.status_code == status
    assert shows in answer.text
    assert answer.headers.get("Retry-After") == ("3" if "retry_after" in fault else None)
    assert set((await sandbox.start()).json()) == {"threadId", "runId"}


async def test_runs_can_fail_be_endless_or_slow_and_a_status_can_be_unknown(sandbox: Sandbox) -> None:
    async def words(*runs: dict[str, str]) -> list[str]:
        return [(await sandbox.status(ids)).json()["status"] for ids in runs]

    sandbox.record.add(map(parse_fault, ("failed", "endless", "slow seconds=5", "delay on=start seconds=3")))
    failed, endless, slow = [(await sandbox.start()).json() for _ in range(3)]
    began = anyio.current_time()
    late = (await sandbox.start()).json()
    assert anyio.current_time() == began + 3
    assert await words(late) == ["completed"]
    assert await words(failed, endless, slow) == ["failed", "in_progress", "in_progress"]
    await anyio.sleep(4)
    assert await words(endless, slow) == ["in_progress", "completed"]
    sandbox.record.add(map(parse_fault, ("unknown-status status_word=pondering", "500 times=forever")))
    assert await words(slow) == ["pondering"]
    assert [(await sandbox.status(slow)).status_code for _ in range(3)] == [500] * 3
    sandbox.record.clear_faults()
    assert await words(slow) == ["completed"]


def test_a_request_meets_the_first_fault_that_is_due() -> None:
    """Only that one counts the request, and a fault of runs waits for a start."""
    record = Sandbox().record
    record.add(map(parse_fault, ("500 after=1", "503 times=2", "endless", "unknown-status status_word=odd")))
    met = [record.next_fault(endpoint) for endpoint in ("start", "start", "start", "response", "status", "start")]
    assert [fault and fault.kind for fault in met] == ["503", "500", "503", None, "unknown-status", "endless"]


@pytest.mark.parametrize(("fault", "runs"), [("drop-before on=start", 0), ("drop-after on=start", 1)])
def test_a_connection_is_dropped_before_or_after_the_request_takes_effect(fault: str, runs: int) -> None:
    with running_sandbox(SandboxOptions(faults=(parse_fault(fault),))) as it:
        with pytest.raises(httpx.TransportError):
            httpx.post(it.url + START, json={"prompt": "q"}, headers={"X-Api-Key": it.api_key}, trust_env=False)
        assert (len(it.record.runs), it.record.requests[-1].status) == (runs, None)


@pytest.mark.parametrize(
    "text",
    ["nonsense", "500 on=nowhere", "slow on=status seconds=4", "failed on=status", "500 times=0", "500 times=often",
     "slow", "slow seconds=-1", "slow seconds=nan", "unknown-status", "500 500", "500 x=red", '500 retry_after="3', ""],
)  # fmt: skip
def test_a_fault_that_would_silently_do_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=".") as refused:
        parse_fault(text)
    assert not re.search("literal|Input|Unexpected|unable to parse|'nonsense.*nonsense", str(refused.value))


def _file(folder: Path, content: Any) -> Path:
    path = folder / "answers.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


async def test_the_first_scripted_answer_that_matches_is_given(tmp_path: Path) -> None:
    """By prompt or pattern, as often as it says; other prompts are answered from the content."""
    records = [
        {"prompt": "Ping", "fault": "503 retry_after=1", "times": 1},
        {"prompt": "Ping", "answer": "pong"},
        {"pattern": "price of (\\w+)", "answer": "\\1 costs 10."},
        {"pattern": "^fail", "fault": "failed", "answer": "never read"},
        {"prompt": "How many drafts are there?", "seconds": 60},
    ]
    made = Sandbox(SandboxOptions(run_seconds=0, answers=_file(tmp_path, records)))
    refused = await made.start(" ping  ")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert await made.answer("PING") == "pong"
    assert await made.answer("What is the Price of Garda?") == "Garda costs 10."
    assert await made.answer("fail now") == "404"
    assert await made.answer("How many drafts are there?") == "404"
    assert "18 pages" in await made.answer("How many pages are there?")
    assert [run.fails for run in made.record.runs] == [False, False, True, False, False]
    assert [one.fault for one in made.record.requests if one.fault] == ["503", "failed"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "array"),
        ([{"prompt": "a", "pattern": "b", "answer": "x"}], "record 1: it needs exactly one of prompt and pattern"),
        ([{"prompt": "a"}], "an answer, seconds or a fault"),
        ([{"prompt": "a", "answer": "x"}, {"prompt": "a", "reply": "x"}], "record 2: reply is not a known field"),
        ([{"prompt": "a", "fault": "503 on=status"}], "does not happen on start"),
        ([{"pattern": "(", "answer": "x"}], "do not fit"),
        ([{"pattern": "a(b)", "answer": "\\2"}], "do not fit"),
        ([{"prompt": "a", "answer": "x"}] * (sandbox_options.MAX_ANSWERS + 1), "1000"),
        (b"{", "answers.json, Invalid JSON"),
        (b'[{"prompt": "caff\xe8"}]', "answers.json: 'utf-8' codec"),
    ],
)
def test_a_scripted_answer_that_cannot_be_used_is_named_in_one_line(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError) as raised:
        load_answers(_file(tmp_path, content))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_the_control_endpoint_adds_clears_and_resets() -> None:
    made = Sandbox(SandboxOptions(run_seconds=0, faults=(parse_fault("500 on=status"),)))
    answers = [{"prompt": "hi", "answer": "there"}]
    for order, pending, answer in (
        ({"faults": ["503 on=token"], "answers": answers}, ["500", "503"], "there"),
        ({"clear_faults": True}, [], "there"),
        ({"reset": True}, ["500"], "Hello"),
    ):
        report = (await made.http.post("/sandbox", json=order)).raise_for_status().json()
        assert [fault["kind"] for fault in report["faults"]] == pending
        assert len(report["requests"]) == len(report["runs"]) * 2  # a start and a response each
        assert answer in await made.answer("hi")
    assert len(made.record.runs) == 1


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"what": 1}', b'{"faults": ["nonsense"]}', b'{"faults": "503"}', b'{"answers": [{}]}']
)
async def test_a_bad_order_to_the_control_endpoint_changes_nothing(sandbox: Sandbox, body: bytes) -> None:
    refused = await sandbox.http.post("/sandbox", content=body)
    assert (refused.status_code, sandbox.record.faults) == (400, [])
    assert refused.json()["detail"].startswith("The body cannot be used: ")
