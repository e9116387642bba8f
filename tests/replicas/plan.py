"""Who asks what, and how patiently: drawn from a seed, so that a run can be repeated."""

import random
from dataclasses import dataclass

from tests.children import ERAS
from tests.replicas.fleet import CALLERS


@dataclass(frozen=True, slots=True)
class Planned:
    """One question of a conversation."""

    prompt: str  # no other question has these words
    tool: str
    wait_seconds: float
    progress: bool  # whether the host wants to hear of progress, and so has the ids early
    leaves_after: float | None  # seconds until its first call is given up, to ask again a little later
    tried_by: str | None  # another caller who tries the handles of this question


@dataclass(frozen=True, slots=True)
class Conversation:
    """Questions that one caller asks one after another on one thread, which the first one begins."""

    caller: str
    era: str
    questions: tuple[Planned, ...]


def conversations(questions: int, *, seed: int) -> list[Conversation]:
    """So many questions in all."""
    chance = random.Random(seed)
    planned: list[Conversation] = []
    left = questions
    while left:
        length = min(left, chance.choice((1, 1, 2, 3, 5)))
        caller, number = chance.choice(CALLERS), len(planned)
        left -= length
        asked = tuple(_question(chance, caller, f"{caller} asks {number}.{place}") for place in range(length))
        planned.append(Conversation(caller, chance.choice(ERAS), asked))
    return planned


def _question(chance: random.Random, caller: str, prompt: str) -> Planned:
    return Planned(
        prompt,
        tool="contit_start" if chance.random() < 0.15 else "contit_ask",
        wait_seconds=chance.choice((0.3, 2.0, 30.0, 30.0)),
        progress=chance.random() < 0.4,
        leaves_after=chance.uniform(0.01, 0.8) if chance.random() < 0.15 else None,
        tried_by=chance.choice([name for name in CALLERS if name != caller]) if chance.random() < 0.1 else None,
    )
