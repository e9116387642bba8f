"""Questions written from the data alone, by people who did not know the code: no answer is false, and most are right.

`workspace.json` asks about the content in `workspace/`, the other files about the sample content. A turn is right if
each matcher of `must` matches and none of `must_not`. A matcher is a text, a regular expression (`re`), or `any` of
several; "REFUSE" accepts a refusal.
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


def _verdict(turn: dict[str, Any], answer: str) -> str:
    def matches(matcher: Any) -> bool:
        if isinstance(matcher, str):
            return matcher != "REFUSE" and _normal(matcher) in text
        if "re" in matcher:
            return re.search(matcher["re"], text, re.IGNORECASE) is not None
        return any(map(matches, matcher["any"]))

    text = _normal(answer)
    if not understood(answer):
        return "right" if "REFUSE" in json.dumps(turn["must"]) else "refused"
    return "right" if all(map(matches, turn["must"])) and not any(map(matches, turn["must_not"])) else "false"


def _normal(text: str) -> str:
    return text.replace("’", "'").replace("\u00a0", " ").replace("*", "").lower()


@pytest.mark.parametrize(
    ("file", "least_right"),
    [("kept-1.json", 60), ("kept-2.json", 58), ("fresh-1.json", 75), ("fresh-2.json", 81), ("workspace.json", 25)],
)
def test_questions_are_answered_right_or_refused(file: str, least_right: int) -> None:
    assistant = ASSISTANT
    if file == "workspace.json":
        assistant = Assistant(load_workspace(QUESTIONS / "workspace"), TODAY)
    verdicts: Counter[str] = Counter()
    for conversation in json.loads((QUESTIONS / file).read_text("utf-8")):
        before: Turn | None = None
        for turn in conversation["turns"]:
            before = assistant.reply(turn["prompt"], before)
            if "must" in turn:
                verdict = _verdict(turn, before.answer)
                assert verdict != "false", (turn["prompt"], before.answer)
                verdicts[verdict] += 1
    assert verdicts["right"] >= least_right, verdicts
