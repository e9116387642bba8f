"""What the sandbox keeps: runs that end by its clock, a record of requests, and nothing in the background."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import httpx
import pytest

from contit_mcp.sandbox.app import create_sandbox
from contit_mcp.sandbox.options import Fault, SandboxOptions, parse_fault
from contit_mcp.sandbox.record import SandboxRecord

pytestmark = pytest.mark.anyio

START = "/ai-assistant/thread"
MARCH = "List all published articles from March 2026"


class Sandbox:
    """A sandbox whose clock the test turns, whose ids count up, and whose sleep only notes for how long."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        numbers: Iterator[int] = count(1)
        app = create_sandbox(
            options or SandboxOptions(), clock=lambda: self.now, new_id=lambda: str(next(numbers)), sleep=self.sleep
        )
        self.record: SandboxRecord = app.state.sandbox
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://sandbox", headers={"X-Api-Key": "sandbox-key"}
        )

    async def sleep(self, seconds: float) -> None:
        """Note it."""
        self.slept.append(seconds)

    async def start(self, prompt: str = MARCH, thread_id: str | None = None) -> dict[str, str]:
        """Start a run and return its ids."""
        answer = await self.http.post(START, json={"threadId": thread_id, "prompt": prompt})
        ids: dict[str, str] = answer.raise_for_status().json()
        return ids

    async def status(self, ids: dict[str, str]) -> str:
        """Where a run stands."""
        answer = await self.http.get(f"{START}/{ids['threadId']}/run/{ids['runId']}/status")
        return str(answer.raise_for_status().json()["status"])

    async def response(self, ids: dict[str, str]) -> str:
        """The thread's answer."""
        answer = await self.http.get(f"{START}/{ids['threadId']}/response")
        return str(answer.raise_for_status().json()["response"])


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox with the default options."""
    made = Sandbox()
    async with made.http:
        yield made


async def test_a_run_ends_by_the_clock_to_the_moment(sandbox: Sandbox) -> None:
    """After 1.5 seconds of it, however often it was asked."""
    ids = await sandbox.start()
    sandbox.now += 1.499
    assert await sandbox.status(ids) == "in_progress"
    sandbox.now += 0.001
    assert await sandbox.status(ids) == "completed"


async def test_ids_look_like_the_vendors(sandbox: Sandbox) -> None:
    """thread_… and run_… (documented by example)."""
    assert await sandbox.start() == {"threadId": "thread_1", "runId": "run_2"}


async def test_the_latest_answer_is_of_the_run_that_ended_last() -> None:
    """Where two runs go on at once, the slower one's, though it began first (assumed)."""
    made = Sandbox(SandboxOptions(reject_busy=False, faults=(parse_fault("slow on=start seconds=5"),)))
    slow = await made.start("How many pages are there?")
    await made.start("How many products are there?", slow["threadId"])
    made.now += 2
    assert "products" in await made.response(slow)
    made.now += 5
    assert "pages" in await made.response(slow)
    await made.http.aclose()


async def test_a_failed_run_leaves_the_answer_before_it(sandbox: Sandbox) -> None:
    """Which is why nobody should read it then (assumed)."""
    ids = await sandbox.start("How many pages are there?")
    sandbox.now += 2
    sandbox.record.add_fault(Fault("failed"))
    failed = await sandbox.start("How many products are there?", ids["threadId"])
    sandbox.now += 2
    assert await sandbox.status(failed) == "failed"
    assert "pages" in await sandbox.response(failed)


async def test_a_follow_up_leans_on_what_was_said_in_its_own_thread(sandbox: Sandbox) -> None:
    """And not on another's."""
    ids = await sandbox.start(MARCH)
    sandbox.now += 2
    await sandbox.start("Show me the second one", ids["threadId"])
    other = await sandbox.start("Show me the second one")
    sandbox.now += 2
    assert (await sandbox.response(ids)).startswith("**Weekly Update**")
    assert "no earlier result" in await sandbox.response(other)


async def test_requests_are_recorded_as_they_arrived(sandbox: Sandbox) -> None:
    """Path as sent, endpoint, status and time; no query string."""
    await sandbox.http.get(f"{START}/thread%20x/response?api_key=secret")
    sandbox.now += 1
    await sandbox.http.get("/elsewhere")
    await sandbox.http.put(START)
    seen = [(r.method, r.path, r.endpoint, r.status, r.at) for r in sandbox.record.requests]
    assert seen == [
        ("GET", f"{START}/thread%20x/response", "response", 404, 100.0),
        ("GET", "/elsewhere", "other", 404, 101.0),
        ("PUT", START, "other", 405, 101.0),
    ]


async def test_the_record_cannot_be_changed_by_looking_at_it(sandbox: Sandbox) -> None:
    """It hands out copies."""
    await sandbox.start()
    sandbox.record.requests.clear()
    sandbox.record.runs.clear()
    assert (len(sandbox.record.requests), len(sandbox.record.runs)) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "slept", "ends"),
    [
        ("delay on=start seconds=7", [7.0], 101.5),
        ("slow on=start seconds=7", [], 108.5),
    ],
)
async def test_an_answer_can_be_late_and_a_run_can_be_slow(
    sandbox: Sandbox, fault: str, slept: list[float], ends: float
) -> None:
    """The one is about the request, the other about the run."""
    sandbox.record.add_fault(parse_fault(fault))
    await sandbox.start()
    assert sandbox.slept == slept
    assert sandbox.record.runs[0].ends == ends


async def test_a_slow_status_is_a_late_answer(sandbox: Sandbox) -> None:
    """There is no run to slow down."""
    ids = await sandbox.start()
    sandbox.record.add_fault(parse_fault("slow on=status seconds=4"))
    assert await sandbox.status(ids) == "in_progress"
    assert sandbox.slept == [4.0]


async def test_a_body_without_a_declared_length_is_bounded_too(sandbox: Sandbox) -> None:
    """413 as soon as it is over 1 MiB (assumed)."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    answer = await sandbox.http.post(START, content=endless())
    assert answer.status_code == 413


async def test_faults_come_in_their_order_and_only_the_first_that_fits_counts_a_request(sandbox: Sandbox) -> None:
    """A request meets the first fault that is due."""
    sandbox.record.add([parse_fault("500 after=1"), parse_fault("503 times=2"), parse_fault("failed")])
    met = [sandbox.record.next_fault("start") for _ in range(5)]
    assert [fault.kind if fault else None for fault in met] == ["503", "500", "503", "failed", None]


async def test_a_fault_of_runs_waits_for_a_start(sandbox: Sandbox) -> None:
    """Requests to other endpoints do not meet it."""
    word = Fault("unknown-status", status_word="odd")
    sandbox.record.add([Fault("endless"), word])
    assert sandbox.record.next_fault("response") is None
    assert sandbox.record.next_fault("status") == word
    assert sandbox.record.next_fault("start") == Fault("endless")


async def test_the_record_of_requests_is_bounded() -> None:
    """It holds as many requests as the options say, and drops the oldest."""
    assert SandboxOptions().requests_kept == 50_000
    made = Sandbox(SandboxOptions(requests_kept=3))
    for number in range(5):
        await made.http.get(f"/{number}")
    assert [request.path for request in made.record.requests] == ["/2", "/3", "/4"]
    report = (await made.http.get("/sandbox")).json()
    assert [request["path"] for request in report["requests"]] == ["/2", "/3", "/4"]
    await made.http.aclose()
