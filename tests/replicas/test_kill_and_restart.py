"""1,000 questions while replicas and Redis are killed with -9: each has one run, and its own answer.

`make replicas` runs it. CONTIT_TESTS_QUESTIONS=10000 makes it longer, and CONTIT_TESTS_SEED changes the questions.
"""

import os
from pathlib import Path

import anyio
import pytest

from tests.replicas.scene import Event, scene

pytestmark = pytest.mark.anyio

QUESTIONS = int(os.environ.get("CONTIT_TESTS_QUESTIONS", "1000"))
SEED = int(os.environ.get("CONTIT_TESTS_SEED", "6"))
AT_ONCE = 40
LIMIT_SECONDS = float(os.environ.get("CONTIT_TESTS_SECONDS", 120 + QUESTIONS * 0.5))  # ten times an idle machine's


@pytest.mark.parametrize(("keeps", "share"), [(True, 1.0), (False, 0.3)], ids=["redis-keeps", "redis-forgets"])
async def test_every_question_is_answered_by_its_one_run(keeps: bool, share: float, tmp_path: Path) -> None:
    """Replicas are killed one at a time and both at once, and so is Redis, which comes back with its data or empty."""
    questions = round(QUESTIONS * share)
    with anyio.move_on_after(LIMIT_SECONDS):  # a question that is not answered by then is among the wrongs
        async with scene(tmp_path, keeps=keeps, seed=SEED) as s:
            events: list[Event] = [
                (0.04, lambda: s.kill(0)),
                (0.12, lambda: s.kill(1)),
                (0.20, lambda: s.kill(0, 1)),
                (0.28, lambda: s.kill(0)),
                (0.45, s.kill_redis),
                (0.60, lambda: s.kill(1)),
            ]
            await s.play(questions, seed=SEED, at_once=AT_ONCE, events=events)
    wrongs = s.evidence.wrongs(s.hosts.questions)
    assert not wrongs, "\n".join(wrongs)
    assert len(s.hosts.questions) == s.hosts.answered == questions
