"""Arguments as hosts and models write them, and mistakes that models make with the tools."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.errors import InvalidArgumentError
from contit_mcp.server.call import accept
from contit_mcp.server.tools import create_tools
from tests.echo_contit import EchoContit, answer_to
from tests.server.stage import call, connected, ids_of, in_each_era

TOOLS = create_tools()
ALIKE, UNLIKE = ("promt", "Promtp", "promptText"), ("question", "x" * 50, "promp\nte")
INJECTED = [
    {"wait_for_previous": True},  # Gemini CLI
    {"task_progress": "- [x] read\n- [ ] ask"},  # Cline
    {"toolCallId": "c1", "sessionId": "s", "action": "sendMessage", "chatInput": "hi"},  # n8n
    {"run_manager": None, "callbacks": []},  # LangChain
    {"_meta": {"a": 1}, "json": {"id": 7}, "limit": 10},
    {"": 1, " ": 2, "é" * 500: 3},
    {f"key{n}": n for n in range(2_000)},
]


def accepted(tool: str, **arguments: Any) -> dict[str, Any]:
    found, _ = accept(arguments, TOOLS[tool].arguments)
    return {name: value for name, value in found.items() if value is not None}


def refused(tool: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        accept(arguments, TOOLS[tool].arguments)
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("extra", INJECTED, ids=lambda extra: str(list(extra))[:40])
@pytest.mark.parametrize("tool", TOOLS)
def test_an_argument_that_a_host_adds_never_fails_a_call(tool: str, extra: dict[str, Any]) -> None:
    """It is dropped and counted. Its host would add it to each new call as well."""
    wanted = {"prompt": "How many?", "thread_id": "t", "run_id": "r"}
    wanted = {name: value for name, value in wanted.items() if name in TOOLS[tool].arguments.model_fields}
    found, dropped = accept({**extra, **wanted}, TOOLS[tool].arguments)
    assert {name: value for name, value in found.items() if value is not None} == wanted
    assert dropped == len(extra)


@pytest.mark.parametrize("spelling", ["threadId", "thread-id", "THREAD_ID", "Thread Id", "threadid", "thread__id"])
def test_other_spellings_of_a_parameter_are_accepted(spelling: str) -> None:
    """Letters and digits decide; the exact name wins over another spelling."""
    assert accepted("contit_ask", prompt="x", **{spelling: "t1"}) == {"prompt": "x", "thread_id": "t1"}
    assert accepted("contit_ask", prompt="x", thread_id="exact", **{spelling: "t1"})["thread_id"] == "exact"
    assert accepted("contit_ask", **{spelling: "t1"}, prompt="x", thread_id="exact")["thread_id"] == "exact"
    assert accepted("contit_ask", prompt="x", thread_id=None, **{spelling: "t1"})["thread_id"] == "t1"


@pytest.mark.parametrize("key", [*ALIKE, *UNLIKE])
def test_a_missing_parameter_is_named_with_the_key_that_looks_like_it(key: str) -> None:
    """No value is in the text, so that none is repeated."""
    text = refused("contit_ask", {key: "the words"})
    assert text.startswith("prompt is required.")
    assert (f'The call has "{key}": pass its value as prompt' in text) is (key in ALIKE)
    assert ('The call has "question" instead.' in text) is (key == "question")
    assert "the words" not in text


@pytest.mark.parametrize(
    "written",
    [
        "{}", "{}.", '"{}"', "`{}`", "**{}**", "<{}>", "({})", "thread_id={}", 'thread_id="{}"', "thread_id: {}",
        "threadId={}", "thread id: `{}`.", '{{"thread_id": "{}"}}', 'contit_response(thread_id="{}", run_id="other")',
        "run_id=other, thread_id={}", "\u201c{}\u201d", "{},", "[{}]", "\n{}\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("identity", ["6f1c0e5a-3b0e-4f0e-9d55-0a3a1f7c2b11", "h1_aB-_9", "run.7-x"])
def test_an_id_is_accepted_as_models_write_it(written: str, identity: str) -> None:
    """Quotes, a full stop, the name in front, a whole call."""
    assert accepted("contit_response", thread_id=written.format(identity))["thread_id"] == identity


@pytest.mark.parametrize("nothing", ["", " ", "null", "None", "undefined", "NULL", None, "'null'", "`None`."])
def test_the_ways_to_write_nothing_mean_absent(nothing: str | None) -> None:
    """A required parameter without a value is an error that names it."""
    assert accepted("contit_ask", prompt="x", thread_id=nothing) == {"prompt": "x"}
    assert refused("contit_response", {"thread_id": nothing}).startswith("thread_id is required.")


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"prompt": nothing}, "prompt is required.") for nothing in ("", "  ", "null", "undefined", None, float("nan"))),
    ({"prompt": 5}, "prompt must be a string."),
    ({"prompt": "x", "wait_seconds": "soon"}, "wait_seconds must be a number."),
    ({"prompt": "x", "thread_id": 7}, "thread_id must be a string."),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_a_wrong_argument_is_named_without_its_value(arguments: dict[str, Any], text: str) -> None:
    assert refused("contit_ask", arguments) == f"{text} Call again with prompt; optional: thread_id, wait_seconds."


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, st.lists(ANY_TEXT, max_size=2))
NAMES = st.sampled_from(["prompt", "thread_id", "run_id", "wait_seconds", "offset"])


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(ANY_TEXT.map("x {}".format), ANYTHING, max_size=6))
def test_no_key_that_a_host_could_add_fails_a_call(tool: str, extra: dict[str, Any]) -> None:
    test_an_argument_that_a_host_adds_never_fails_a_call(tool, extra)


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(ANY_TEXT | NAMES, ANYTHING, max_size=6))
def test_any_arguments_are_accepted_or_refused_with_an_error_of_ours(tool: str, arguments: dict[str, Any]) -> None:
    """No other exception is raised. The text is short and printable."""
    text = ""
    try:
        accept(arguments, TOOLS[tool].arguments)
    except InvalidArgumentError as error:
        text = f"{error.message} {error.hint}"
    assert len(text) < 700
    assert text.isprintable()


# --- Mistakes: the result of each leads to the right call within one step. The model is a script that follows a result
# to the letter: it copies the call that the result writes out, or calls the tool that the result names.

QUESTION = "Which articles are drafts?"
OTHER = "How many products are there?"
Call = tuple[str, dict[str, Any]]
Result = tuple[dict[str, Any], list[str], bool]


def next_call(tool: str, result: Result, known: dict[str, Any]) -> Call:
    """Return the call that a result of `tool` leads to, with what the model knows: its prompt and earlier ids."""
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
    "invents ids": (None, "contit_response", {"thread_id": "thread_123", "run_id": "run_456"}),
    "leaves out the thread": (ASKED, "contit_response", {"run_id": "R"}),
    "names the prompt otherwise": (None, "contit_ask", {"query": QUESTION}),
    "asks nothing": (None, "contit_ask", {"prompt": " "}),
    "calls a tool that does not exist": (None, "contit_search", {"query": QUESTION}),
    "asks on a busy thread": (ASKED, "contit_ask", {"prompt": OTHER, "thread_id": "T", "wait_seconds": 1}),
    "asks for a part behind the end": (DONE, "contit_response", {"thread_id": "T", "run_id": "R", "offset": 60_000}),
}  # fmt: skip
"""The call before, the tool of the wrong call, and its arguments; T and R are the ids that the call before returned."""


@pytest.mark.anyio
@in_each_era
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_the_result_of_a_mistake_leads_to_the_right_call_within_one_step(mistake: str, era: str) -> None:
    """No answer is lost or swapped, and no question is run again because of the mistake."""
    before, tool, wrong = MISTAKES[mistake]
    contit = EchoContit(seconds=15)
    async with connected(contit, era=era, host="claude-code") as (client, _):
        known: dict[str, Any] = {"prompt": QUESTION}
        if before is not None:
            known |= ids_of((await call(client, *before))[0])
        ids = {"T": known.get("thread_id"), "R": known.get("run_id")}
        result = await call(client, tool, {name: ids.get(value, value) for name, value in wrong.items()})
        if "response" not in result[0]:
            result = await call(client, *next_call(tool, result, known))
    structure, texts, is_error = result
    assert not is_error, texts
    assert structure["response"] == texts[0] == answer_to(QUESTION)
    assert len(contit.runs) == 1
    assert not contit.overlaps
