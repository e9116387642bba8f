"""The sandbox as an HTTP service: the documented endpoints, credentials, and faults on demand."""

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from contit_mcp.sandbox.app import ConnectionDropped, create_sandbox
from contit_mcp.sandbox.options import Fault, SandboxOptions, parse_fault, parse_faults
from contit_mcp.sandbox.record import SandboxRecord
from tests.children import sandbox_on_port

pytestmark = pytest.mark.anyio

KEY = {"X-Api-Key": "sandbox-key"}
START = "/ai-assistant/thread"


class Sandbox:
    """A sandbox in memory, on the loop's clock."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        app = create_sandbox(options or SandboxOptions(run_seconds=2), clock=anyio.current_time)
        self.record: SandboxRecord = app.state.sandbox
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=KEY)

    async def start(self, prompt: str = "How many drafts are there?", thread_id: str | None = None) -> httpx.Response:
        """Start a run."""
        return await self.http.post(START, json={"threadId": thread_id, "prompt": prompt})

    async def status(self, ids: dict[str, str]) -> httpx.Response:
        """Ask where it stands."""
        return await self.http.get(f"{START}/{ids['threadId']}/run/{ids['runId']}/status")

    async def response(self, ids: dict[str, str]) -> httpx.Response:
        """Read the thread's answer."""
        return await self.http.get(f"{START}/{ids['threadId']}/response")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose runs take two seconds."""
    made = Sandbox()
    async with made.http:
        yield made


async def test_a_run_starts_goes_on_and_completes(sandbox: Sandbox) -> None:
    """Three endpoints, three shapes."""
    started = await sandbox.start()
    ids = started.json()
    assert (started.status_code, set(ids)) == (200, {"threadId", "runId"})
    assert (await sandbox.status(ids)).json() == {"status": "in_progress"}
    assert (await sandbox.response(ids)).status_code == 404
    await anyio.sleep(2)
    assert (await sandbox.status(ids)).json() == {"status": "completed"}
    assert "drafts" in (await sandbox.response(ids)).json()["response"] or (await sandbox.response(ids)).json()
    assert [seen.endpoint for seen in sandbox.record.requests][:3] == ["start", "status", "response"]


async def test_the_response_is_the_latest_of_the_thread(sandbox: Sandbox) -> None:
    """It takes no run id."""
    first = (await sandbox.start("List all published articles from March 2026")).json()
    await anyio.sleep(2)
    second = (await sandbox.start("Show me the second one", first["threadId"])).json()
    assert "Breaking News" in (await sandbox.response(first)).json()["response"]
    await anyio.sleep(2)
    assert second["threadId"] == first["threadId"]
    assert "Weekly Update" in (await sandbox.response(first)).json()["response"]


async def test_a_prompt_on_a_busy_thread_is_refused(sandbox: Sandbox) -> None:
    """409 (assumed), or both run, by option."""
    ids = (await sandbox.start()).json()
    assert (await sandbox.start("How many drafts?", ids["threadId"])).status_code == 409
    lenient = Sandbox(SandboxOptions(reject_busy=False))
    ids = (await lenient.start()).json()
    assert (await lenient.start("How many drafts?", ids["threadId"])).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Api-Key": "sandbox-key"}, 200),
        ({"Authorization": "Bearer sandbox-key"}, 200),
        ({"X-Api-Key": "sandbox-forbidden"}, 403),
        ({"X-Api-Key": "nobody"}, 401),
        ({"Authorization": "Bearer nobody"}, 401),
        ({"Authorization": "Basic c2FuZGJveA=="}, 401),
        ({}, 401),
    ],
)
async def test_who_may_ask(headers: dict[str, str], status: int) -> None:
    """401 without a good credential (documented), 403 without the permission (documented elsewhere)."""
    app = create_sandbox(clock=anyio.current_time)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=headers
    ) as http:
        assert (await http.post(START, json={"threadId": None, "prompt": "q"})).status_code == status
        expected = 404 if status == 200 else status
        assert (await http.get(f"{START}/t/run/r/status")).status_code == expected
        assert (await http.get(f"{START}/t/response")).status_code == expected


async def test_a_token_can_be_fetched_and_expires() -> None:
    """Client credentials in a form; 3600 s by default (documented), here 10."""
    made = Sandbox(SandboxOptions(token_seconds=10))
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    granted = (await made.http.post("/connect/token", data=form)).json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 10)
    made.http.headers = httpx.Headers({"Authorization": f"Bearer {granted['access_token']}"})
    assert (await made.start()).status_code == 200
    await anyio.sleep(10)
    assert (await made.start()).status_code == 401
    assert (await made.http.post("/connect/token", data=form | {"client_secret": "no"})).json() == {
        "error": "invalid_client"
    }
    assert (await made.http.post("/connect/token", data=form | {"grant_type": "password"})).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"{}", 400), (b'{"prompt": " ", "threadId": null}', 400), (b"x" * 1_100_000, 413)],
)
async def test_a_bad_body_is_refused(sandbox: Sandbox, body: bytes, status: int) -> None:
    """As a real service would (assumed)."""
    assert (await sandbox.http.post(START, content=body)).status_code == status
    declared = {"Content-Length": "2000000"}
    assert (await sandbox.http.post(START, content=b"{}", headers=declared)).status_code in {400, 413}


async def test_unknown_threads_runs_and_paths_are_404(sandbox: Sandbox) -> None:
    """404."""
    ids = (await sandbox.start()).json()
    assert (await sandbox.start("q", "thread_x")).status_code == 404
    assert (await sandbox.status({**ids, "runId": "run_x"})).status_code == 404
    assert (await sandbox.response({"threadId": "thread_x"})).status_code == 404
    assert (await sandbox.http.get("/elsewhere")).status_code == 404
    assert (await sandbox.http.delete(START)).status_code == 405


@pytest.mark.parametrize(
    ("fault", "status", "shows"),
    [
        ("500", 500, ""),
        ("503 retry_after=3", 503, ""),
        ("redirect", 302, ""),
        ("html", 200, "<html"),
        ("html-error", 502, "<html"),
        ("malformed", 200, "{"),
        ("missing-field", 200, "{}"),
        ("empty", 200, ""),
    ],
)
async def test_a_fault_happens_as_often_as_it_was_ordered(
    sandbox: Sandbox, fault: str, status: int, shows: str
) -> None:
    """Then all is well again."""
    sandbox.record.add_fault(parse_fault(f"{fault} on=start times=1"))
    answer = await sandbox.start()
    assert answer.status_code == status
    assert shows in answer.text
    assert answer.headers.get("Retry-After") == ("3" if "retry_after" in fault else None)
    assert set((await sandbox.start()).json()) == {"threadId", "runId"}


async def test_faults_of_runs(sandbox: Sandbox) -> None:
    """Failing, endless and slow runs, and words that nobody documented."""
    for fault in ("failed", "endless", "slow seconds=5"):
        sandbox.record.add_fault(parse_fault(f"{fault} on=start"))
    failed, endless, slow = [(await sandbox.start()).json() for _ in range(3)]
    await anyio.sleep(3)
    assert [(await sandbox.status(ids)).json()["status"] for ids in (failed, endless, slow)] == [
        "failed",
        "in_progress",
        "in_progress",
    ]
    await anyio.sleep(100)
    assert [(await sandbox.status(ids)).json()["status"] for ids in (endless, slow)] == ["in_progress", "completed"]
    sandbox.record.add_fault(parse_fault("unknown-status status_word=pondering"))
    assert (await sandbox.status(slow)).json() == {"status": "pondering"}
    sandbox.record.add_fault(parse_fault("500 times=forever"))
    assert (await sandbox.status(slow)).status_code == 500
    sandbox.record.clear_faults()
    assert (await sandbox.status(slow)).status_code == 200


async def test_a_fault_can_wait(sandbox: Sandbox) -> None:
    """`after` lets so many requests through first."""
    sandbox.record.add_fault(parse_fault("500 on=start after=1"))
    assert [(await sandbox.start()).status_code for _ in range(3)] == [200, 500, 200]


@pytest.mark.parametrize("takes_effect", [False, True])
async def test_a_dropped_connection_in_memory(sandbox: Sandbox, takes_effect: bool) -> None:
    """Before the request took effect or after."""
    sandbox.record.add_fault(parse_fault("drop-after on=start" if takes_effect else "drop-before on=start"))
    with pytest.raises(ConnectionDropped):
        await sandbox.start()
    assert len(sandbox.record.runs) == int(takes_effect)
    assert sandbox.record.requests[-1].status is None


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "500 on=nowhere",
        "failed on=status",
        "500 times=0",
        "500 times=often",
        "slow",
        "slow seconds=-1",
        "slow seconds=nan",
        "500 seconds=3",
        "html retry_after=3",
        "unknown-status",
        "500 500",
        "500 times=1 times=2",
        "500 color=red",
        '500 retry_after="3',
        "",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str) -> None:
    """It would silently do nothing."""
    with pytest.raises(ValueError, match="."):
        parse_fault(text)


def test_faults_can_be_listed() -> None:
    """Separated by commas, with quotes round a date."""
    listed = parse_faults('503 times=2 retry_after="Sun, 06 Nov 1994 08:49:37 GMT", failed')
    assert [fault.kind for fault in listed] == ["503", "failed"]
    assert listed[0] == Fault("503", times=2, retry_after="Sun, 06 Nov 1994 08:49:37 GMT")
    with pytest.raises(ValueError, match="quote"):
        parse_faults('503 retry_after="3')


class TestOnARealPort:
    """Where a connection can really be dropped."""

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, object]]:
        """Real sockets need real time."""
        return "asyncio", {}

    @pytest.mark.parametrize(("fault", "runs"), [("drop-before on=start", 0), ("drop-after on=start", 1)])
    async def test_the_client_sees_the_connection_end(self, fault: str, runs: int) -> None:
        """Without an answer."""
        with anyio.fail_after(20):
            async with sandbox_on_port() as (url, record), httpx.AsyncClient(base_url=url, headers=KEY) as http:
                record.add_fault(parse_fault(fault))
                with pytest.raises(httpx.TransportError):
                    await http.post(START, json={"threadId": None, "prompt": "q"})
                assert len(record.runs) == runs
                assert (await http.post(START, json={"threadId": None, "prompt": "q"})).status_code == 200
