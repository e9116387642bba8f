"""Mistakes that models make with the tools: what each result says leads to the right call within one step.

The model here is a script. It makes a mistake, reads the result, and follows it to the letter: it copies a call that the
result writes out, or fills in the tool that the result names with what it knows. It knows the question of its user and
the ids of the results before.
"""

import json
import re
from typing import Any

import pytest

from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import call, connected, ids_of, in_each_era

pytestmark = pytest.mark.anyio

QUESTION = "Which articles are drafts?"
FOLLOW_UP = "And the second one?"
OTHER = "How many products are there?"
CHANGE = "Publish the article X"

Call = tuple[str, dict[str, Any]]
Result = tuple[dict[str, Any], list[str], bool]


def next_call(tool: str, result: Result, known: dict[str, Any]) -> Call:
    """Return the call to which a result leads the model that has called `tool`."""
    structure, texts, is_error = result
    text, step = "\n".join(texts), structure["next_step"]
    written = re.search(r"(contit_\w+)\((thread_id=[^)]*)\)", text)
    if written:
        pairs = re.findall(r'(\w+)=("[^"]*"|\d+)', written[2])
        return written[1], {name: json.loads(value) for name, value in pairs}
    if "ids exactly as contit_ask or contit_start returned them" in step:
        assert not {"thread_id", "run_id"} & structure.keys(), "ids that do not work are not given back"
        return ("contit_response", ids_of(known)) if ids_of(known) else ("contit_ask", {"prompt": known["prompt"]})
    if step == "Call again with a smaller offset.":
        return tool, ids_of(known)
    if again := re.match(r"Call again with ([^;.]+)", step):
        assert is_error
        return tool, {name: known[name] for name in again[1].split(" and ")}
    named = re.search(r"contit_(?:ask|start|status|response)", step)
    assert named, result
    return named[0], {"prompt": known["prompt"]} if named[0] in {"contit_ask", "contit_start"} else ids_of(known)


ASKED: Call = ("contit_ask", {"prompt": QUESTION, "wait_seconds": 1})
DONE: Call = ("contit_ask", {"prompt": QUESTION})
STARTED: Call = ("contit_start", {"prompt": QUESTION})

MISTAKES: dict[str, tuple[Call | None, str, dict[str, Any]]] = {
    "asks again instead of fetching": (ASKED, *ASKED),
    "starts again instead of fetching": (ASKED, *STARTED),
    "takes the status for the answer": (ASKED, "contit_status", {"thread_id": "T", "run_id": "R", "wait_seconds": 20}),
    "does not wait": (STARTED, "contit_response", {"thread_id": "T", "run_id": "R", "wait_seconds": 0}),
    "swaps the ids": (ASKED, "contit_response", {"thread_id": "R", "run_id": "T"}),
    "takes one id for both": (ASKED, "contit_response", {"thread_id": "R", "run_id": "R"}),
    "invents ids": (None, "contit_response", {"thread_id": "thread_123", "run_id": "run_456"}),
    "leaves out the thread": (ASKED, "contit_response", {"run_id": "R"}),
    "pastes a whole call": (ASKED, "contit_response", {"thread_id": 'contit_response(thread_id="T", run_id="R")'}),
    "adds a limit": (None, "contit_ask", {"prompt": QUESTION, "limit": 5}),
    "names the prompt otherwise": (None, "contit_ask", {"query": QUESTION}),
    "asks nothing": (None, "contit_ask", {"prompt": " "}),
    "calls a tool that does not exist": (None, "contit_search", {"query": QUESTION}),
    "asks to change content": (None, "contit_ask", {"prompt": CHANGE}),
    "asks something else on a busy thread": (
        ASKED, "contit_ask", {"prompt": OTHER, "thread_id": "T", "wait_seconds": 1}
    ),
    "asks for a part behind the end": (DONE, "contit_response", {"thread_id": "T", "run_id": "R", "offset": 60_000}),
}  # fmt: skip
"""What was called before, and the wrong call; T and R are the ids of the call before."""


@in_each_era
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_the_result_of_a_mistake_leads_to_the_right_call_within_one_step(mistake: str, era: str) -> None:
    """No answer is lost or swapped, and no question is run again because of the mistake."""
    before, tool, wrong = MISTAKES[mistake]
    prompt = CHANGE if wrong.get("prompt") == CHANGE else QUESTION
    contit = EchoContit(seconds=15)
    async with connected(contit, era=era, host="claude-code") as (client, _):
        known: dict[str, Any] = {"prompt": prompt}
        if before is not None:
            known |= ids_of((await call(client, *before))[0])
        written = json.dumps(wrong)
        for letter, name in (("T", "thread_id"), ("R", "run_id")):
            written = re.sub(rf'(?<=")({letter})(?=\\?")', str(known.get(name)), written)
        result = await call(client, tool, json.loads(written))
        if "response" not in result[0]:
            result = await call(client, *next_call(tool, result, known))
    structure, texts, is_error = result
    assert not is_error, texts
    assert structure["response"] == texts[0] == answer_to(prompt)
    assert len(contit.runs) == 1
    assert not contit.overlaps


async def test_a_follow_up_that_follows_the_result_arrives_in_its_thread() -> None:
    """After the mistake the same conversation goes on, so that Contit knows what "the second one" is."""
    async with connected(EchoContit()) as (client, _):
        first, _, _ = await call(client, "contit_ask", {"prompt": QUESTION})
        astray, texts, _ = await call(client, "contit_ask", {"prompt": FOLLOW_UP})
        assert astray["thread_id"] != first["thread_id"]
        assert astray["next_step"] == "For a follow-up, call contit_ask with this thread_id."
        assert f'contit_ask(prompt=…, thread_id="{astray["thread_id"]}")' in texts[1]
        right, _, _ = await call(client, "contit_ask", {"prompt": FOLLOW_UP, "thread_id": first["thread_id"]})
        assert right["thread_id"] == first["thread_id"]
