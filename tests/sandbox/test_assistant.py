"""What the sandbox answers, held against the data files themselves."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from contit_mcp.sandbox.assistant.conversation import Assistant, Turn
from contit_mcp.sandbox.assistant.phrasing import NOT_UNDERSTOOD, NOTHING_TO_SHOW

DATA = [
    item
    for name in ("articles", "products", "pages")
    for item in json.loads((files("contit_mcp.sandbox") / "data" / f"{name}.json").read_text("utf-8"))
]


def ask(*prompts: str) -> str:
    """The last answer of a conversation."""
    assistant, turn = Assistant(), None
    for prompt in prompts:
        turn = assistant.reply(prompt, turn)
    assert isinstance(turn, Turn)
    return turn.answer


def count(holds: Callable[[dict[str, Any]], bool]) -> int:
    """How many items of the data files are so."""
    return sum(1 for item in DATA if holds(item))


def test_the_vendors_example_is_exactly_true() -> None:
    """12 articles, the newest three by name and day (documented)."""
    assert ask("List all published articles from March 2026") == (
        "I found 12 published articles from March 2026. Here are the most recent:\n\n"
        "1. **Breaking News** (March 15)\n2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
        "Would you like me to show more details about any of these?"
    )


@pytest.mark.parametrize(
    ("prompt", "holds"),
    [
        ("How many drafts are there?", lambda i: i["state"] == "Draft"),
        ("How many articles are there?", lambda i: i["contentType"] == "Article"),
        ("Count the published products", lambda i: i["contentType"] == "Product" and i["state"] == "Published"),
        ("How many pages in German do we have?", lambda i: i["contentType"] == "Page" and "de" in i["fields"]["title"]),
        ("How many items by Anna Weber?", lambda i: i["author"] == "Anna Weber"),
        ("How many articles tagged events?", lambda i: i["contentType"] == "Article" and "events" in i["tags"]),
    ],
)
def test_a_number_is_that_of_the_data(prompt: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Because it was queried (our choice)."""
    number = count(holds)
    assert number > 0
    assert f" {number} " in ask(prompt)


def test_items_of_a_year_are_those_of_the_year() -> None:
    """By publication, a draft by its last change (our choice)."""
    number = count(
        lambda i: (i["fields"]["publishDate"] or i["updatedAt"]).startswith("2025") and i["author"] == "Anna Weber"
    )
    assert f"There are {number} items by Anna Weber from 2025." == ask("How many items by Weber in 2025?")


@pytest.mark.parametrize(("words", "number"), [("newest three", 3), ("latest 5", 5), ("most recent", 1)])
def test_the_newest_are_the_newest_in_their_order(words: str, number: int) -> None:
    """As many as were asked for (our choice)."""
    newest = sorted(
        (i["fields"]["publishDate"] or i["updatedAt"], i["fields"]["title"]["en"])
        for i in DATA
        if i["contentType"] == "Article" and "en" in i["fields"]["title"]
    )[: -number - 1 : -1]
    lines = [line for line in ask(f"Show the {words} articles in English").splitlines() if "**" in line]
    assert [line.split("**")[1] for line in lines] == [title for _, title in newest]


def test_a_follow_up_shows_one_of_the_list() -> None:
    """With its body and its facts (our choice)."""
    answer = ask("List all published articles from March 2026", "Show me the second one")
    assert answer.startswith("**Weekly Update**")
    assert "- Author: Giulia Ferrari" in answer
    assert "warehouse" in answer


def test_a_follow_up_narrows_the_question_before() -> None:
    """Only drafts, then in Italian (our choice)."""
    narrowed = ask("List all articles from March 2026", "Only drafts", "And in Italian?")
    number = count(
        lambda i: (
            i["contentType"] == "Article"
            and i["state"] == "Draft"
            and i["updatedAt"].startswith("2026-03")
            and "it" in i["fields"]["title"]
        )
    )
    assert narrowed.startswith(f"I found {number} draft articles in Italian from March 2026.")


def test_a_product_has_a_price() -> None:
    """In euros (our choice)."""
    assert "- Price: " in ask("Show the newest product", "Show me the first one")


def test_nothing_found_is_said() -> None:
    """It is an answer (our choice)."""
    assert ask("List all pages from January 2020") == "I found no pages from January 2020."
    assert ask("List all pages from January 2020", "show me the first one") == NOTHING_TO_SHOW
    assert ask("Show the newest three products", "show me the fifth one") == NOTHING_TO_SHOW


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the meaning of life?",
        "How many articles are not published?",
        "List all articles that mention ferries",
        "List everything",
        "Show me the second one",
        "Only drafts, please, but not those by Anna",
        "Quanti articoli ci sono?",
        "",
        "; DROP TABLE items",
    ],
)
def test_what_is_not_understood_word_by_word_is_not_answered(prompt: str) -> None:
    """Rather nothing than something false (our choice)."""
    assert ask(prompt) == NOT_UNDERSTOOD


def test_the_examples_it_gives_work() -> None:
    """Each of them (our choice)."""
    examples = [line[2:] for line in NOT_UNDERSTOOD.splitlines() if line.startswith("- ")]
    assert len(examples) == 4
    for example in examples:
        assert "not understand" not in ask(example)
        assert "found no" not in ask(example)
    assert "not understand" not in ask(examples[0], "Show me the second one", "Only drafts", "And in Italian?")


def test_what_was_not_understood_does_not_end_the_conversation() -> None:
    """The list before is still there (our choice)."""
    answer = ask("List all published articles from March 2026", "Bla bla", "Show me the first one")
    assert answer.startswith("**Breaking News**")
