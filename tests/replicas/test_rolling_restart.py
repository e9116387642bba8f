"""Replicas are replaced one after another by SIGTERM: no caller sees more of it than a handle."""

from collections import Counter
from pathlib import Path

import anyio
import httpx
import pytest

from tests.children import ERAS, caller, messages_in, request_of
from tests.replicas.fleet import CALLERS, TOKENS
from tests.replicas.scene import scene

pytestmark = pytest.mark.anyio

QUESTIONS = 60
CALLS = 300
AT_ONCE = 12

NOT_STARTED = "error: The server is shutting down and this question was not started."
"""What a call gets whose replica does not come to starting it within 1 s of the signal, on a machine that is busy."""


async def test_a_rolling_restart_is_seen_by_nobody(tmp_path: Path) -> None:
    """No call fails, no question is started twice, and every one is answered."""
    with anyio.fail_after(240):
        async with scene(tmp_path, seed=3) as s:
            events = [(share, s.replicas[number].replace) for share, number in ((0.1, 0), (0.3, 1))]
            await s.play(QUESTIONS, seed=3, at_once=10, events=events)
            passed_on = [line for line in s.nginx.passed if " status=503, 200 " in line]
    wrongs = s.evidence.wrongs(s.hosts.questions)
    assert not wrongs, "\n".join(wrongs)
    assert not s.evidence.counts, "nothing is cut off by a drain"
    outcomes = Counter(attempt.outcome for question in s.hosts.questions for attempt in question.attempts)
    assert set(outcomes) <= {"completed", "in_progress", NOT_STARTED}, (outcomes, s.nginx.passed)
    assert passed_on, "a replica that drains was asked, and nginx asked the other one"


async def test_callers_that_never_retry_lose_nothing(tmp_path: Path) -> None:
    """Replicas are replaced one after the other, each within the length of an ask of the one before."""
    outcomes: Counter[str] = Counter()
    replaced = 0
    with anyio.fail_after(240):
        async with scene(tmp_path, seed=5, run_seconds=(1.0, 3.0)) as s:
            left = list(range(CALLS))

            async def keep_asking(name: str) -> None:
                async with caller(TOKENS[name]) as http:
                    while left:
                        outcomes[await _outcome(http, s.nginx.url, left.pop())] += 1

            async def keep_replacing() -> None:
                nonlocal replaced
                while len(left) > AT_ONCE:
                    await s.replicas[replaced % 2].replace()
                    replaced += 1

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_replacing)
                for number in range(AT_ONCE):
                    tasks.start_soon(keep_asking, CALLERS[number % len(CALLERS)])
            lost = [line for line in s.nginx.passed if " 502 " in line]
    assert set(outcomes) <= {"completed", "in_progress"}, (outcomes, lost)
    assert outcomes.total() == CALLS
    assert outcomes["completed"], outcomes
    assert replaced >= 4


async def _outcome(http: httpx.AsyncClient, url: str, number: int) -> str:
    """Ask once, without a second try; return the status of the result or what went wrong."""
    try:
        response = await http.post(url, **request_of(ERAS[number % 2], "contit_ask", {"prompt": f"Question {number}?"}))
    except httpx.TransportError as error:
        return f"lost: {type(error).__name__}"
    if response.status_code != 200:
        return f"HTTP {response.status_code}: {response.text}"
    result = messages_in(response)[-1]["result"]
    return str(result["structuredContent"].get("error", result["structuredContent"]["status"]))
