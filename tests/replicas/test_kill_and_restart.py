"""1,000 questions while replicas are killed with -9, and Redis too: each has one run, and its own answer.

`make replicas` runs it, and CI does. CONTIT_TESTS_QUESTIONS=10000 makes a longer one of it, CONTIT_TESTS_SEED another.
"""

import os
from pathlib import Path

import anyio
import pytest

from tests.replicas.scene import scene

pytestmark = pytest.mark.anyio

QUESTIONS = int(os.environ.get("CONTIT_TESTS_QUESTIONS", "1000"))
SEED = int(os.environ.get("CONTIT_TESTS_SEED", "6"))
AT_ONCE = 40
LIMIT = float(os.environ.get("CONTIT_TESTS_SECONDS", 120 + QUESTIONS * 0.5))
"""Seconds; a machine that does nothing else needs a tenth."""


@pytest.mark.parametrize(("keeps", "share"), [(True, 1.0), (False, 0.3)], ids=["redis-keeps", "redis-forgets"])
async def test_every_question_is_answered_by_its_one_run(
    keeps: bool, share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is killed, one at a time, both at once, or Redis, which comes back with or without what it knew
    (issue 6; design, section 3)."""
    questions = round(QUESTIONS * share)
    with anyio.move_on_after(LIMIT):  # what is not answered by then is told below
        async with scene(tmp_path, keeps=keeps, seed=SEED) as s:
            await s.play(
                questions,
                seed=SEED,
                at_once=AT_ONCE,
                events=[
                    (0.04, lambda: s.kill(0)),
                    (0.12, lambda: s.kill(1)),
                    (0.20, lambda: s.kill(0, 1)),
                    (0.28, lambda: s.kill(0)),
                    (0.45, s.kill_redis),
                    (0.60, lambda: s.kill(1)),
                ],
            )
    wrongs = s.evidence.wrongs(s.hosts.questions)
    assert not wrongs, "\n".join(wrongs)
    with capsys.disabled():
        kills = sum(life.killed is not None for life in s.evidence.lives)
        print(f"\n{questions} questions, {kills} kills, {dict(s.evidence.counts)}")  # noqa: T201 - for who runs it
    assert len(s.hosts.questions) == s.hosts.answered == questions
