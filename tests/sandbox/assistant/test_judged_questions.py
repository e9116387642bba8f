"""Questions written from the data alone, by people who did not know the code: no answer is false, and most are right.

`kept-1.json` and `kept-2.json` ask about the sample content and are judged by facts: `count` is a number that must be
said, `names` must occur and `not_names` must not, and of each list in `facts` one must occur.

`fresh-1.json` and `fresh-2.json` do too, 100 turns each, casual, with typing errors and follow-ups; `workspace.json`
asks about the made-up content in `workspace/`. A turn is right if each matcher of `must` matches and none of `must_not`.
A matcher is a text, a regular expression (`re`), or `any` of several; "REFUSE" accepts a refusal.
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
NUMBER_WORDS = {0: "no|none|nothing|nessun|nessuno|nessuna", 1: "one|un|uno|una", 2: "two|due"}


def _judge_by_facts(case: dict[str, Any], answer: str) -> bool:
    low = answer.lower()
    count = case["count"]
    ways = f"{count}|{NUMBER_WORDS.get(count, count)}"
    return (
        all(name.lower() in low for name in case["names"])
        and not any(name.lower() in low for name in case["not_names"])
        and all(any(way.lower() in low for way in ways) for ways in case["facts"])
        and (count is None or re.search(rf"(?<![\w.,-])(?:{ways})(?!\w|[.,]\d)", low) is not None)
    )


def _judge_by_matchers(turn: dict[str, Any], answer: str) -> bool:
    def matches(matcher: Any) -> bool:
        if isinstance(matcher, str):
            return matcher != "REFUSE" and _normal(matcher) in text
        if "re" in matcher:
            return re.search(matcher["re"], text, re.IGNORECASE) is not None
        return any(map(matches, matcher["any"]))

    if not understood(answer):
        return any(
            one == "REFUSE" or (isinstance(one, dict) and "REFUSE" in one.get("any", ())) for one in turn["must"]
        )
    text = _normal(answer)
    return all(map(matches, turn["must"])) and not any(map(matches, turn["must_not"]))


def _normal(text: str) -> str:
    return text.replace("’", "'").replace("\u00a0", " ").replace("*", "").lower()


def _conversations(file: str) -> list[list[tuple[str, Any]]]:
    """Each conversation as prompts, with what judges the answer or None."""
    entries = json.loads((QUESTIONS / file).read_text("utf-8"))
    if file.startswith("kept"):
        return [[*((turn, None) for turn in entry["turns"]), (entry["question"], entry)] for entry in entries]
    return [[(turn["prompt"], turn) for turn in entry["turns"]] for entry in entries]


@pytest.mark.parametrize(
    ("file", "right"),
    [("kept-1.json", 53), ("kept-2.json", 56), ("fresh-1.json", 75), ("fresh-2.json", 81), ("workspace.json", 25)],
)
def test_questions_are_answered_right_or_refused(file: str, right: int) -> None:
    assistant = ASSISTANT
    if file == "workspace.json":
        assistant = Assistant(load_workspace(QUESTIONS / "workspace"), TODAY)
    verdicts: Counter[str] = Counter()
    false = []
    for conversation in _conversations(file):
        before: Turn | None = None
        for prompt, case in conversation:
            before = assistant.reply(prompt, before)
            if case is None:
                continue
            judge = _judge_by_facts if file.startswith("kept") else _judge_by_matchers
            right_or_not = "false" if understood(before.answer) else "refused"
            verdict = "right" if judge(case, before.answer) else right_or_not
            verdicts[verdict] += 1
            false += [(prompt, before.answer)] if verdict == "false" else []
    assert not false
    assert verdicts["right"] >= right, verdicts
