"""Questions by people who knew the sample data but neither the assistant nor its tests, kept from the first release.

A case is judged by facts, not wording: `turns` are the questions before it, `count` a number that must be said, `names`
what must occur and `not_names` what must not, and of each list in `facts` one must occur. `may_refuse` marks what no one
expects a program without a language model to understand.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.assistant.oracle import converse, understood

Case = dict[str, Any]

LEAST_RIGHT = {"kept-1.json": 53, "kept-2.json": 56}
"""How many of each set must be answered right; the others may only be refused."""
_NUMBER_WORDS = {
    0: ("no", "none", "nothing", "nessun", "nessuno", "nessuna"),
    1: ("one", "un", "uno", "una"),
    2: ("two", "due"),
}


def _cases(file: str) -> list[Case]:
    cases: list[Case] = json.loads((Path(__file__).parents[1] / "questions" / file).read_text("utf-8"))
    return cases


ALL = [pytest.param(case, id=f"{file[:-5]}-{case['id']}") for file in LEAST_RIGHT for case in _cases(file)]


def _answer(case: Case) -> str:
    return converse(*case["turns"], case["question"])


def _wrong(case: Case, answer: str) -> list[str]:
    """Say what is missing from an answer, and what should not be in it."""
    low = answer.lower()
    wrong = [f"missing: {name}" for name in case["names"] if name.lower() not in low]
    wrong += [f"should not be there: {name}" for name in case["not_names"] if name.lower() in low]
    wrong += [f"none of: {ways}" for ways in case["facts"] if not any(way.lower() in low for way in ways)]
    if case["count"] is not None and not _says_number(low, case["count"]):
        wrong.append(f"number: {case['count']}")
    return wrong


def _says_number(answer: str, count: int) -> bool:
    ways = (str(count), *_NUMBER_WORDS.get(count, ()))
    return any(re.search(rf"(?<![\w.,-]){way}(?!\w|[.,]\d)", answer) for way in ways)


@pytest.mark.parametrize("case", ALL)
def test_a_kept_question_is_answered_right_or_not_at_all(case: Case) -> None:
    """A false answer is worse than none."""
    answer = _answer(case)
    if understood(answer):
        assert not _wrong(case, answer), (answer, case["why"])


@pytest.mark.parametrize(("file", "least"), LEAST_RIGHT.items())
def test_most_kept_questions_are_answered_right(file: str, least: int) -> None:
    """Refusing everything would be no false answer either."""
    refused = [case["id"] for case in _cases(file) if _wrong(case, _answer(case))]
    assert len(_cases(file)) - len(refused) >= least, refused
