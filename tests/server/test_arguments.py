"""Arguments as hosts and models write them: forgiving where nothing is lost, a clear error where something is missing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.errors import InvalidArgumentError
from contit_mcp.server.call import accept
from contit_mcp.server.tools import create_tools

TOOLS = create_tools()
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
    """Return the arguments that were given a value."""
    found, _ = accept(arguments, TOOLS[tool].arguments)
    return {name: value for name, value in found.items() if value is not None}


def refused(tool: str, arguments: dict[str, Any]) -> str:
    """Return the error's text with its hint."""
    with pytest.raises(InvalidArgumentError) as caught:
        accept(arguments, TOOLS[tool].arguments)
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("extra", INJECTED, ids=lambda extra: str(list(extra))[:40])
@pytest.mark.parametrize("tool", TOOLS)
def test_an_argument_that_a_host_adds_never_fails_a_call(tool: str, extra: dict[str, Any]) -> None:
    """It is dropped and counted: a host adds it again each time, so a refusal would be an endless loop."""
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


LOOKS_ALIKE = {
    "promt": True,
    "Promtp": True,
    "promptText": True,
    "question": False,
    "x" * 50: False,
    "promp\nte": False,
}


@pytest.mark.parametrize("key", LOOKS_ALIKE)
def test_a_missing_parameter_is_named_with_the_key_that_looks_like_it(key: str) -> None:
    """No value is in the text, so that none is repeated."""
    text = refused("contit_ask", {key: "the words"})
    assert text.startswith("prompt is required.")
    assert (f'The call has "{key}": pass its value as prompt' in text) is LOOKS_ALIKE[key]
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
def test_the_ways_to_write_nothing_mean_absent_for_an_optional_id(nothing: str | None) -> None:
    """A required one is an error that names it."""
    assert accepted("contit_ask", prompt="x", thread_id=nothing) == {"prompt": "x"}
    assert refused("contit_response", {"thread_id": nothing}).startswith("thread_id is required.")


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"prompt": nothing}, "prompt is required.") for nothing in ("", "  ", "null", "undefined", None, float("nan"))),
    ({"prompt": 5}, "prompt must be a string."),
    ({"prompt": ["a"]}, "prompt must be a string."),
    ({"prompt": "x", "wait_seconds": "soon"}, "wait_seconds must be a number."),
    ({"prompt": "x", "wait_seconds": {}}, "wait_seconds must be a number."),
    ({"prompt": "x", "thread_id": 7}, "thread_id must be a string."),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_a_wrong_argument_is_named_without_its_value(arguments: dict[str, Any], text: str) -> None:
    """The hint says how to call again."""
    assert refused("contit_ask", arguments) == f"{text} Call again with prompt; optional: thread_id, wait_seconds."


@pytest.mark.parametrize(
    ("written", "seconds"), [("30", 30.0), (30, 30.0), ("1e3", 1_000.0), (float("inf"), float("inf")), (-5, -5.0)]
)
def test_a_wait_is_accepted_as_written_and_clamped_later(written: object, seconds: float) -> None:
    """A wait is never refused for its size."""
    assert accepted("contit_ask", prompt="x", wait_seconds=written)["wait_seconds"] == seconds


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, st.lists(ANY_TEXT, max_size=2))
NAMES = st.sampled_from(["prompt", "thread_id", "run_id", "wait_seconds", "offset"])


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(ANY_TEXT | NAMES, ANYTHING, max_size=6))
def test_any_arguments_are_accepted_or_refused_in_words_of_ours(tool: str, arguments: dict[str, Any]) -> None:
    """No other exception, and no value in the text."""
    text = ""
    try:
        accept(arguments, TOOLS[tool].arguments)
    except InvalidArgumentError as error:
        text = f"{error.message} {error.hint}"
    assert len(text) < 700
    assert text.isprintable()
