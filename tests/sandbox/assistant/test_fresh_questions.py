"""Questions written from the data alone, by people who did not know the code: casual, with typing errors and follow-ups.

`fresh-1.json` and `fresh-2.json` ask about the sample content, 100 turns each. `workspace.json` asks 30 about the made-up
content in `workspace/`, whose types, authors, tags and states the sample does not have. The numbers below are what the
assistant answers right; it refuses the others.

A turn is right if each matcher of `must` matches and none of `must_not`. A matcher is a text, a regular expression
(`re`), or `any` of several; "REFUSE" accepts a refusal.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contit_mcp.sandbox.answer import Assistant, Turn
from contit_mcp.sandbox.content import load_workspace
from tests.sandbox.assistant.oracle import ASSISTANT, TODAY, understood

QUESTIONS = Path(__file__).parents[1] / "questions"
OWN = Assistant(load_workspace(QUESTIONS / "workspace"), TODAY)
SETS = {"fresh-1.json": (ASSISTANT, 75), "fresh-2.json": (ASSISTANT, 81), "workspace.json": (OWN, 25)}
"""Each set with the assistant that answers it, and how many turns must be right; the others may only be refused."""


def _matches(matcher: Any, answer: str) -> bool:
    if isinstance(matcher, str):
        return matcher != "REFUSE" and _normal(matcher) in answer
    if "re" in matcher:
        return re.search(matcher["re"], answer, re.IGNORECASE) is not None
    return any(_matches(one, answer) for one in matcher["any"])


def _ways(matcher: Any) -> list[Any]:
    return matcher["any"] if isinstance(matcher, dict) and "any" in matcher else [matcher]


def _normal(text: str) -> str:
    return text.replace("’", "'").replace("\u00a0", " ").replace("*", "").lower()


def _verdict(turn: dict[str, Any], answer: str) -> str:
    """Return right, refused or false."""
    if not understood(answer):
        accepted = [one for matcher in turn["must"] for one in _ways(matcher)]
        return "right" if "REFUSE" in accepted else "refused"
    text = _normal(answer)
    right = all(_matches(one, text) for one in turn["must"]) and not any(
        _matches(one, text) for one in turn["must_not"]
    )
    return "right" if right else "false"


@pytest.mark.parametrize("file", SETS)
def test_fresh_questions_are_answered_right_or_refused(file: str) -> None:
    """No answer is false, and most are right."""
    assistant, least = SETS[file]
    verdicts: Counter[str] = Counter()
    false = []
    for entry in json.loads((QUESTIONS / file).read_text("utf-8")):
        before: Turn | None = None
        for turn in entry["turns"]:
            before = assistant.reply(turn["prompt"], before)
            verdict = _verdict(turn, before.answer)
            verdicts[verdict] += 1
            false += [(entry["id"], turn["prompt"], before.answer)] if verdict == "false" else []
    assert not false
    assert verdicts["right"] >= least, verdicts
