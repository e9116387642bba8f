"""Replicas are replaced one after another by SIGTERM: no caller sees more of it than a handle."""

from collections import Counter
from pathlib import Path

import anyio
import pytest

from tests.replicas.plan import conversations
from tests.replicas.scene import Scene, scene

pytestmark = pytest.mark.anyio

QUESTIONS = 60

NOT_STARTED = "error: The server is shutting down and this question was not started."
"""What a call gets whose replica does not come to starting it within 1 s of the signal, on a machine that is busy."""


async def replace(s: Scene, number: int) -> None:
    """End a replica as an orchestrator does, and start another in its place."""
    assert await s.replicas[number].drain() == 0
    await s.start(number)
    await anyio.sleep(2.5)  # as a readiness probe would wait; nginx leaves a replica that was away alone for 1 to 2 s


async def test_a_rolling_restart_is_seen_by_nobody(tmp_path: Path) -> None:
    """No call fails, no question is started twice, and every one is answered (issue 6; design, section 9)."""
    with anyio.fail_after(240):
        async with scene(tmp_path, seed=3) as s:
            events = [(share, lambda number=number: replace(s, number)) for share, number in ((0.1, 0), (0.3, 1))]
            await s.play(conversations(QUESTIONS, seed=3), at_once=10, events=events)
            passed_on = [line for line in s.nginx.passed if " status=503, 200 " in line]
    wrongs = s.evidence.wrongs(s.hosts.questions)
    assert not wrongs, "\n".join(wrongs)
    assert not s.evidence.counts, "nothing is cut off by a drain"
    outcomes = Counter(attempt.outcome for question in s.hosts.questions for attempt in question.attempts)
    assert set(outcomes) <= {"completed", "in_progress", "left", NOT_STARTED}, (outcomes, s.nginx.passed)
    assert passed_on, "a replica that drains was asked, and nginx asked the other one"
