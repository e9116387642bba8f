"""The sandbox over HTTP: the documented endpoints, credentials, the record of requests, and what is bounded."""

import re
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from contit_mcp.sandbox import record
from contit_mcp.sandbox.options import SandboxOptions, parse_fault
from tests.sandbox.conftest import START, Sandbox

pytestmark = pytest.mark.anyio

DOCUMENTED_ANSWER = (
    "I found 12 published articles from March 2026. Here are the most recent:\n\n1. **Breaking News** (March 15)\n"
    "2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
    "Would you like me to show more details about any of these?"
)


async def test_contits_documented_examples_hold_byte_for_byte_and_a_run_takes_its_seconds(sandbox: Sandbox) -> None:
    request = b'{\n  "threadId": null,\n  "prompt": "List all published articles from March 2026"\n}'
    started = await sandbox.http.post(START, content=request)
    assert re.fullmatch(r'\{"threadId":"thread_[0-9a-f]+","runId":"run_[0-9a-f]+"\}', started.text)
    ids = started.json()
    assert (await sandbox.response(ids)).status_code == 404
    await anyio.sleep(1.999)
    assert (await sandbox.status(ids)).text == '{"status":"in_progress"}'
    await anyio.sleep(0.001)
    assert (await sandbox.status(ids)).text == '{"status":"completed"}'
    assert (await sandbox.response(ids)).json() == {"response": DOCUMENTED_ANSWER}


async def test_the_response_of_a_thread_is_that_of_its_latest_completed_run(sandbox: Sandbox) -> None:
    """A follow-up sees only the earlier runs of its own thread."""
    first = (await sandbox.start("List all published articles from March 2026")).json()
    await anyio.sleep(2)
    second = (await sandbox.start("Show me the second one", first["threadId"])).json()
    other = (await sandbox.start("Show me the second one")).json()
    assert second["threadId"] == first["threadId"]
    assert "Breaking News" in (await sandbox.response(first)).json()["response"]
    await anyio.sleep(2)
    sandbox.record.add_fault(parse_fault("failed"))
    failed = (await sandbox.start("How many products are there?", first["threadId"])).json()
    await anyio.sleep(2)
    assert (await sandbox.status(failed)).json() == {"status": "failed"}
    assert (await sandbox.response(first)).json()["response"].startswith("**Weekly Update**")
    assert "no earlier result" in (await sandbox.response(other)).json()["response"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Api-Key": "sandbox-key"}, 200), ({"Authorization": "Bearer sandbox-key"}, 200),
     ({"X-Api-Key": "sandbox-forbidden"}, 403), ({"X-Api-Key": "nobody", "Authorization": "Bearer sandbox-key"}, 401),
     ({"Authorization": "Bearer nobody"}, 401), ({"Authorization": "Basic c2FuZGJveA=="}, 401), ({}, 401)],
)  # fmt: skip
async def test_only_a_good_credential_is_served(sandbox: Sandbox, headers: dict[str, str], status: int) -> None:
    sandbox.http.headers = httpx.Headers(headers)
    assert (await sandbox.start()).status_code == status
    unknown = {"threadId": "t", "runId": "r"}
    expected = 404 if status == 200 else status
    assert (await sandbox.status(unknown)).status_code == expected
    assert (await sandbox.response(unknown)).status_code == expected
    assert (await sandbox.http.get("/sandbox")).status_code == status


async def test_a_token_can_be_fetched_and_expires(sandbox: Sandbox) -> None:
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    granted = (await sandbox.http.post("/connect/token", data=form)).json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    sandbox.http.headers = httpx.Headers({"Authorization": f"Bearer {granted['access_token']}"})
    assert (await sandbox.start()).status_code == 200
    await anyio.sleep(3600)
    assert (await sandbox.start()).status_code == 401
    for wrong, status in (({"client_secret": "no"}, 401), ({"grant_type": "password"}, 400)):
        assert (await sandbox.http.post("/connect/token", data=form | wrong)).status_code == status


@pytest.mark.parametrize("path", [START, "/sandbox"])
async def test_a_body_is_refused_as_soon_as_it_is_over_its_limit(sandbox: Sandbox, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    assert (await sandbox.http.post(path, content=endless())).status_code == 413


async def test_unusable_bodies_unknown_ids_and_busy_threads_are_refused(sandbox: Sandbox) -> None:
    for body in (b"{", b"{}", b'{"prompt": " ", "threadId": null}', b'{"prompt": 1}'):
        assert (await sandbox.http.post(START, content=body)).status_code == 400
    ids = (await sandbox.start()).json()
    assert (await sandbox.start("q", ids["threadId"])).status_code == 409
    assert (await sandbox.start("q", "thread_x")).status_code == 404
    assert (await sandbox.status({**ids, "runId": "run_x"})).status_code == 404
    assert (await sandbox.response({"threadId": "thread_x"})).status_code == 404


async def test_requests_are_recorded_as_they_arrived_without_their_query(sandbox: Sandbox) -> None:
    await sandbox.http.get(f"{START}/thread%20x/response?api_key=secret")
    await anyio.sleep(1)
    await sandbox.http.get("/elsewhere")
    await sandbox.http.put(START)
    began = sandbox.record.requests[0].at
    assert [(r.method, r.path, r.endpoint, r.status, r.at - began) for r in sandbox.record.requests] == [
        ("GET", f"{START}/thread%20x/response", "response", 404, 0),
        ("GET", "/elsewhere", "other", 404, 1),
        ("PUT", START, "other", 405, 1),
    ]


async def test_at_a_limit_the_oldest_entry_is_dropped_and_a_fault_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "THREADS_KEPT", 3)
    monkeypatch.setattr(record, "RUNS_KEPT_PER_THREAD", 2)
    monkeypatch.setattr(record, "REQUESTS_KEPT", 3)
    made = Sandbox(SandboxOptions(run_seconds=0))
    threads = [(await made.start("hello")).json()["threadId"] for _ in range(5)]
    assert list(made.record.threads) == threads[2:]
    for _ in range(4):
        await made.start("hello", threads[-1])
    assert [len(runs) for runs in made.record.threads.values()] == [1, 1, 2]
    for number in range(5):
        await made.http.get(f"/{number}")
    report = (await made.http.get("/sandbox")).json()
    assert [request["path"] for request in report["requests"]] == ["/2", "/3", "/4"]
    made.record.add([parse_fault("503")] * record.MAX_FAULTS)
    with pytest.raises(ValueError, match="1,000 faults"):
        made.record.add_fault(parse_fault("503"))


async def test_a_seed_makes_the_ids_the_same_each_time() -> None:
    ids = [(await Sandbox(SandboxOptions(seed=seed)).start()).json() for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
