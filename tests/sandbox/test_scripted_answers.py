"""Scripted answers, the control endpoint, and the bounds of what a sandbox keeps."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from contit_mcp.sandbox import options as sandbox_options
from contit_mcp.sandbox import record
from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import AnswersError, SandboxOptions, load_answers, parse_answers, parse_fault

pytestmark = pytest.mark.anyio

START = "/ai-assistant/thread"
KEY = {"X-Api-Key": "sandbox-key"}


def _client(options: SandboxOptions | None = None, **rest: Any) -> tuple[httpx.AsyncClient, record.SandboxRecord]:
    app = create_sandbox(options or SandboxOptions(run_seconds=0), **rest)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=KEY)
    return client, app.state.sandbox


async def _answer(client: httpx.AsyncClient, prompt: str) -> str:
    ids = (await client.post(START, json={"threadId": None, "prompt": prompt})).raise_for_status().json()
    answer = await client.get(f"{START}/{ids['threadId']}/response")
    return str(answer.json().get("response", answer.status_code))


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file of five answers."""
    path = tmp_path / "answers.json"
    records = [
        {"prompt": "Ping", "fault": "503 retry_after=1", "times": 1},
        {"prompt": "Ping", "answer": "pong"},
        {"pattern": "price of (\\w+)", "answer": "\\1 costs 10."},
        {"pattern": "^fail", "fault": "failed", "answer": "never read"},
        {"prompt": "How many drafts are there?", "seconds": 60},
    ]
    path.write_text(json.dumps(records), "utf-8")
    return path


async def test_the_first_answer_that_matches_answers(answers: Path) -> None:
    """By prompt or pattern, so often as it says; other prompts are answered from the content."""
    client, seen = _client(SandboxOptions(run_seconds=0, answers=answers))
    refused = await client.post(START, json={"prompt": " ping  "})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert await _answer(client, "PING") == "pong"
    assert await _answer(client, "What is the Price of Garda?") == "Garda costs 10."
    assert await _answer(client, "fail now") == "404"
    assert await _answer(client, "How many drafts are there?") == "404"
    assert "18 pages" in await _answer(client, "How many pages are there?")
    assert [run.fails for run in seen.runs] == [False, False, True, False, False]
    assert [one.fault.kind for one in seen.requests if one.fault] == ["503", "failed"]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({}, "list"),
        ([1], "record 1"),
        ([{"answer": "x"}], "record 1: "),
        ([{"prompt": "a", "pattern": "b", "answer": "x"}], "either a prompt or a pattern"),
        ([{"prompt": "a"}], "an answer, seconds or a fault"),
        ([{"prompt": "a", "answer": "x"}, {"prompt": "a", "reply": "x"}], "record 2: reply"),
        ([{"prompt": "a", "answer": "x", "seconds": -1}], "record 1: seconds"),
        ([{"prompt": "a", "answer": "x", "times": 0}], "record 1: times"),
        ([{"prompt": "a", "fault": "nonsense"}], "unknown fault"),
        ([{"prompt": "a", "fault": "503 on=status"}], "does not happen on start"),
        ([{"pattern": "(", "answer": "x"}], "do not fit"),
        ([{"pattern": "a(b)", "answer": "\\2"}], "do not fit"),
        ([{"prompt": "a", "answer": "x"}] * (sandbox_options.MAX_ANSWERS + 1), "1000"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(records: Any, message: str) -> None:
    """By its record, in one line."""
    with pytest.raises(AnswersError) as raised:
        parse_answers(records)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_of_answers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are; a file that is not there is named."""
    path = tmp_path / "answers.json"
    path.write_text("[" + " " * 200 + "]", "utf-8")
    assert load_answers(path) == ()
    monkeypatch.setattr(sandbox_options, "MAX_FILE_BYTES", 100)
    with pytest.raises(AnswersError, match="it is over"):
        load_answers(path)
    with pytest.raises(AnswersError, match="No such file"):
        load_answers(tmp_path / "absent.json")


async def test_the_control_endpoint_adds_clears_and_resets(answers: Path) -> None:
    """Faults and answers come and go; reset returns to the options."""
    options = SandboxOptions(run_seconds=0, answers=answers, faults=(parse_fault("500 on=status times=forever"),))
    client, _ = _client(options)
    added = {"clear_faults": True, "faults": "failed, 503 on=token", "answers": [{"prompt": "hi", "answer": "there"}]}
    report = (await client.post("/sandbox", json=added)).json()
    assert [fault["kind"] for fault in report["faults"]] == ["failed", "503"]
    await client.post("/sandbox", json={"clear_faults": True})
    assert await _answer(client, "hi") == "there"
    report = (await client.post("/sandbox", json={"reset": True})).json()
    assert (report["requests"], report["runs"]) == ([], [])
    assert [fault["kind"] for fault in report["faults"]] == ["500"]
    assert "Hello" in await _answer(client, "hi")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b"{", 400), (b'{"what": 1}', 400), (b'{"faults": "nonsense"}', 400), (b'{"faults": 5}', 400),
     (b'{"answers": [{}]}', 400), (b"x" * 1_100_000, 413)],
)  # fmt: skip
async def test_a_bad_order_to_the_control_endpoint_changes_nothing(body: bytes, status: int) -> None:
    """It is refused with a reason; without the key it is 401."""
    client, seen = _client()
    assert (await client.post("/sandbox", content=body)).status_code == status
    assert seen.faults == []
    assert (await client.get("/sandbox", headers={"X-Api-Key": "nobody"})).status_code == 401


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, runs of a thread, and pending faults reach their limits; the oldest is dropped."""
    monkeypatch.setattr(record, "THREADS_KEPT", 3)
    monkeypatch.setattr(record, "RUNS_KEPT", 2)
    client, seen = _client()
    threads = [(await client.post(START, json={"prompt": "hello"})).json()["threadId"] for _ in range(5)]
    assert list(seen.threads) == threads[2:]
    for _ in range(4):
        await client.post(START, json={"threadId": threads[-1], "prompt": "hello"})
    assert [len(runs) for runs in seen.threads.values()] == [1, 1, 2]
    seen.add([parse_fault("503")] * record.MAX_FAULTS)
    with pytest.raises(ValueError, match="pending"):
        seen.add_fault(parse_fault("503"))


async def test_a_seed_makes_the_ids_the_same_each_time() -> None:
    """And another seed other ones."""
    ids = []
    for seed in (1, 1, 2):
        client, _ = _client(SandboxOptions(seed=seed))
        ids.append((await client.post(START, json={"prompt": "hello"})).json())
    assert ids[0] == ids[1] != ids[2]
