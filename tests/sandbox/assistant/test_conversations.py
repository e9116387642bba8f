"""Follow-ups: what "it", "them", "only drafts" and "the second one" mean after what was said before."""

import pytest

from tests.sandbox.assistant.oracle import converse, listed, understood

MARCH = "List all published articles from March 2026"
NO_RESULT = "I did not understand what that refers to: there is no earlier result in this conversation."


@pytest.mark.parametrize(
    ("prompts", "answer"),
    [
        # An entry of the last list, by its number, its place, or because it was talked about
        ([MARCH, "the third"], "**Tech Review**\n"),
        ([MARCH, "the second one", "and in Italian?"], "**Aggiornamento settimanale**\n"),
        # A question about it or them
        ([MARCH, "how many are there?"], "There are 12 published articles from March 2026."),
        (["How many articles did Elena publish in 2025?", "How many were published in 2026?"],
         "There are 3 published articles by Elena Moretti from 2026."),
        # A question that does not depend on what was said before
        (["Which articles did Anna write?", "how many drafts in all?"], "There are 20 draft items"),
        # References to nothing
        (["Show me the second one"], NO_RESULT),
        (["more"], NO_RESULT),
        (["What is the newest page?", "the fifth"], "The last list ends at entry 1."),
        (["Show the tents", "more"], "That was all; there is nothing more to show."),
        (["Show me the 5 newest articles", "Which is the cheapest?"], "I did not understand the question: none of"),
        ([MARCH, "yes"], "Which one? Tell me its number or its title."),
    ],
)  # fmt: skip
def test_a_follow_up_is_answered_with_what_was_said_before(prompts: list[str], answer: str) -> None:
    assert converse(*prompts).startswith(answer)


@pytest.mark.parametrize(
    ("prompts", "heading", "count"),
    [
        (["List all drafts", "only articles", "only by Emily"], "I found 2 draft articles by Emily Carter", 2),
        (["List all pages", "more", "more"], "Numbers 14 to 18 of the 18 pages", 5),
        (["List all pages", "show all"], "I found 18 pages. Here they are, the most recent first", 18),
        (["Show the tents", "under 300 euros"], "I found 2 items in the category “tents” with price under €300.00", 2),
        (["Show published articles by Anna", "drafts too"], "I found 10 articles by Anna Weber", 10),
        (["Elenca le tende", "le due più economiche", "e la più cara?"],
         "Ho trovato 1 contenuto nella categoria «tende».", 1),
    ],
)  # fmt: skip
def test_a_follow_up_narrows_replaces_or_continues_the_last_list(prompts: list[str], heading: str, count: int) -> None:
    answer = converse(*prompts)
    assert answer.startswith(heading)
    assert len(listed(answer)) == count


@pytest.mark.parametrize("greeting", ["hello, who are you?", "help", "Ciao, chi sei?"])
def test_a_greeting_gets_examples_and_each_of_them_works(greeting: str) -> None:
    examples = [line[2:] for line in converse(greeting).splitlines() if line.startswith("- ")]
    assert len(examples) == 5
    for example in examples:
        answer = converse(example)
        assert understood(answer)
        assert "found no " not in answer
        assert "nessun" not in answer
