"""Mistakes that models make with the tools: what each result says leads to the right call within one step.

The model here is a script. It makes a mistake, reads the result, and follows it to the letter: it copies a call that the
result writes out, or fills in the tool that the result names with what it knows. It knows the question of its user and
the ids of the results before.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import ERAS, call, connected

pytestmark = pytest.mark.anyio

QUESTION = "Which articles are drafts?"
FOLLOW_UP = "And the second one?"
OTHER = "How many products are there?"

Arguments = Mapping[str, Any]
Result = tuple[dict[str, Any], list[str], bool]


def call_in(result: Result, known: dict[str, str]) -> tuple[str, dict[str, Any]] | None:
    """Return the call that a result leads to, as a model that follows it makes it; None if it leads to no call."""
    structure, texts, _ = result
    text = "\n".join(texts)
    known |= {name: structure[name] for name in ("thread_id", "run_id") if name in structure}
    written = re.search(r"(contit_\w+)\((thread_id=[^)]*)\)", text)
    if written:
        pairs = re.findall(r'(\w+)=("[^"]*"|\d+)', written[2])
        return written[1], {name: json.loads(value) for name, value in pairs}
    step = structure.get("next_step", "")
    named = re.search(r"contit_(?:ask|start|status|response)", step)
    if named is None:
        return None
    needed = {"contit_ask": ("prompt",), "contit_start": ("prompt",)}.get(named[0], ("thread_id", "run_id"))
    more = ("thread_id",) if "thread_id" in step and "without thread_id" not in step else ()
    return named[0], {name: known[name] for name in dict.fromkeys((*needed, *more))}


def again(tool: str, *names: str) -> Callable[[Result, dict[str, str]], tuple[str, dict[str, Any]]]:
    """Return a reading of results that say "call again with …": the same tool, with what its names stand for."""

    def read(result: Result, known: dict[str, str]) -> tuple[str, dict[str, Any]]:
        text = " ".join(result[1])
        assert result[2], text
        assert all(name in text for name in names), text
        return tool, {name: known[name] for name in names}

    return read


def copied(result: Result, known: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Read "use the ids exactly as they were returned": the same call with the ids of the result before."""
    assert result[2]
    assert "ids exactly as contit_ask or contit_start returned them" in " ".join(result[1])
    assert not {"thread_id", "run_id"} & result[0].keys(), "ids that do not work are not given back"
    return "contit_response", {name: known[name] for name in ("thread_id", "run_id")}


def anew(result: Result, known: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Read "or ask without ids to start anew"."""
    assert "ask without ids" in " ".join(result[1])
    return "contit_ask", {"prompt": known["prompt"]}


@dataclass(frozen=True)
class Misuse:
    """One mistake.

    Attributes:
        name: What the model does wrong.
        tool: The tool of the wrong call.
        arguments: Its arguments, from the ids of the run before.
        before: What was called before, with which the run began; None if nothing was.
        read: How the model reads the result; None if the result is already the right answer.
        prompt: The question whose answer the model gets at last.
        runs: How many runs Contit has started in the end.
        seconds: How long a run takes.
    """

    name: str
    tool: str
    arguments: Callable[[dict[str, str]], Arguments]
    before: tuple[str, Arguments] | None = ("contit_ask", {"prompt": QUESTION, "wait_seconds": 1})
    read: Callable[[Result, dict[str, str]], tuple[str, dict[str, Any]] | None] | None = call_in
    prompt: str = QUESTION
    runs: int = 1
    seconds: float = 15.0


DONE = ("contit_ask", {"prompt": QUESTION})
STARTED = ("contit_start", {"prompt": QUESTION})
MISUSES = [
    Misuse("asks again instead of fetching", "contit_ask", lambda _: {"prompt": QUESTION, "wait_seconds": 1}),
    Misuse("starts again instead of fetching", "contit_start", lambda _: {"prompt": QUESTION}),
    Misuse("takes the status for the answer", "contit_status", lambda ids: {**ids, "wait_seconds": 20}),
    Misuse("looks at the status over and over", "contit_status", lambda ids: ids),
    Misuse("does not wait for what it started", "contit_response", lambda i: {**i, "wait_seconds": 0}, before=STARTED),
    Misuse(
        "swaps the ids",
        "contit_response",
        lambda ids: {"thread_id": ids["run_id"], "run_id": ids["thread_id"]},
        read=copied,
    ),
    Misuse("takes one id for both", "contit_response", lambda i: dict.fromkeys(i, i["run_id"]), read=copied),
    Misuse("shortens an id", "contit_response", lambda i: {**i, "thread_id": i["thread_id"][:-1]}, read=copied),
    Misuse(
        "invents ids before it has asked",
        "contit_response",
        lambda _: {"thread_id": "thread_123", "run_id": "run_456"},
        before=None,
        read=anew,
    ),
    Misuse(
        "leaves out the thread of what it fetches",
        "contit_response",
        lambda ids: {"run_id": ids["run_id"]},
        read=again("contit_response", "thread_id", "run_id"),
    ),
    Misuse(
        "pastes the whole call into one argument",
        "contit_response",
        lambda i: {"thread_id": f'contit_response(thread_id="{i["thread_id"]}", run_id="{i["run_id"]}")'},
        read=None,
    ),
    Misuse(
        "puts quotes and a full stop around ids", "contit_response", lambda i: {k: f'"{i[k]}".' for k in i}, read=None
    ),
    Misuse("adds a limit", "contit_ask", lambda _: {"prompt": QUESTION, "limit": 5}, before=None, read=None),
    Misuse(
        "waits for a day", "contit_ask", lambda _: {"prompt": QUESTION, "wait_seconds": 86_400}, before=None, read=None
    ),
    Misuse(
        "writes None for a thread that it does not have",
        "contit_ask",
        lambda _: {"prompt": QUESTION, "thread_id": "None"},
        before=None,
        read=None,
    ),
    Misuse(
        "names the prompt otherwise",
        "contit_ask",
        lambda _: {"query": QUESTION},
        before=None,
        read=again("contit_ask", "prompt"),
    ),
    Misuse("asks nothing", "contit_ask", lambda _: {"prompt": " "}, before=None, read=again("contit_ask", "prompt")),
    Misuse(
        "calls a tool that does not exist",
        "contit_search",
        lambda _: {"query": QUESTION},
        before=None,
        read=lambda result, known: (
            ("contit_ask", {"prompt": known["prompt"]}) if "contit_ask" in result[1][0] else None
        ),
    ),
    Misuse(
        "asks to change content",
        "contit_ask",
        lambda _: {"prompt": "Publish the article X"},
        before=None,
        read=None,
        prompt="Publish the article X",
    ),
    Misuse(
        "asks a follow-up without its thread",
        "contit_ask",
        lambda _: {"prompt": FOLLOW_UP},
        before=DONE,
        read=lambda result, known: (
            ("contit_ask", {"prompt": FOLLOW_UP, "thread_id": known["thread_id"]})
            if "For a follow-up, call contit_ask with this thread_id" in result[0]["next_step"]
            else None
        ),
        prompt=FOLLOW_UP,
        runs=3,
    ),
    Misuse(
        "asks something else on a thread that is busy",
        "contit_ask",
        lambda ids: {"prompt": OTHER, "thread_id": ids["thread_id"], "wait_seconds": 1},
    ),
    Misuse(
        "asks for a part behind the end",
        "contit_response",
        lambda ids: {**ids, "offset": 60_000},
        before=DONE,
        read=lambda result, known: (
            ("contit_response", {**known, "offset": 0} | {"prompt": None})
            if "smaller offset" in " ".join(result[1])
            else None
        ),
    ),
]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.name.replace(" ", "-"))
async def test_the_result_of_a_mistake_leads_to_the_right_call_within_one_step(misuse: Misuse, era: str) -> None:
    """No answer is lost or swapped, and no question is run again because of the mistake."""
    contit = EchoContit(seconds=misuse.seconds)
    async with connected(contit, era=era, host="claude-code") as (client, _):
        ids: dict[str, str] = {}
        if misuse.before is not None:
            structure, _, is_error = await call(client, *misuse.before)
            assert not is_error
            ids = {name: structure[name] for name in ("thread_id", "run_id")}
        result = await call(client, misuse.tool, misuse.arguments(ids))
        if misuse.read is not None:
            step = misuse.read(result, {"prompt": misuse.prompt, **ids})
            assert step is not None, result
            result = await call(client, *step)
    structure, texts, is_error = result
    assert not is_error, texts
    assert structure["status"] == "completed"
    assert structure["response"] == texts[0] == answer_to(misuse.prompt)
    assert len(contit.runs) == misuse.runs
    assert not contit.overlaps


async def test_a_follow_up_that_follows_the_result_arrives_in_its_thread() -> None:
    """After the mistake the same conversation goes on, so that Contit knows what "the second one" is."""
    contit = EchoContit()
    async with connected(contit) as (client, _):
        first, _, _ = await call(client, "contit_ask", {"prompt": QUESTION})
        astray, texts, _ = await call(client, "contit_ask", {"prompt": FOLLOW_UP})
        assert astray["thread_id"] != first["thread_id"]
        assert f'contit_ask(prompt=…, thread_id="{astray["thread_id"]}")' in texts[1]
        right, _, _ = await call(client, "contit_ask", {"prompt": FOLLOW_UP, "thread_id": first["thread_id"]})
    assert right["thread_id"] == first["thread_id"]
    assert [run.thread_id for run in contit.runs if run.prompt == FOLLOW_UP][-1] == first["thread_id"]
