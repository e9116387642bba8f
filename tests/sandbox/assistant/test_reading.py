"""How prompts are read: typing errors, other languages, long prompts, pronouns, and what is no question."""

import pytest

from tests.sandbox.assistant.oracle import converse, listed, understood


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("list all draft articels", "list all draft articles"),
        ("list all artcles by Anna", "list all articles by Anna"),
        ("list all articles by Guilia", "list all articles by Giulia"),
        ("publishd articles from Febuary 2026", "published articles from February 2026"),
        ("articles tagged sustanability", "articles tagged sustainability"),
        ("wich jakets do we have", "which jackets do we have"),
        ("quanti artcoli ci sono", "quanti articoli ci sono"),
        ("elenca le bozzze di Anna", "elenca le bozze di Anna"),
        ("articoli di settmbre 2025", "articoli di settembre 2025"),
        ("i tre prodoti più economici", "i tre prodotti più economici"),
    ],
)
def test_a_small_typing_error_is_forgiven_and_said(written: str, meant: str) -> None:
    """If exactly one known word is close, the answer is that of the right word, with a note."""
    answer = converse(written)
    assert answer.startswith(converse(meant))
    assert "I read “" in answer or "Ho letto «" in answer


@pytest.mark.parametrize("prompt", ["Do we sell books?", "articles by Manna", "list the tats"])
def test_another_word_is_not_a_typing_error(prompt: str) -> None:
    """A replaced letter in a short word makes another word."""
    assert not understood(converse(prompt))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("Welche Artikel sind noch Entwürfe und wer hat sie geschrieben?", "German"),
        ("Combien d'articles avons-nous publiés dans la dernière semaine?", "French"),
        ("¿Cuántos artículos hay en borrador y quién los escribió?", "Spanish"),
        ("Hoeveel artikelen zijn er en wie schreef het laatste?", "Dutch"),
    ],
)
def test_a_language_that_is_not_supported_is_named(prompt: str, named: str) -> None:
    """Instead of naming each of its words."""
    assert f"not {named}" in converse(prompt)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        (
            "Which articles are available in French?",
            "The workspace has no French. Its languages: English, Italian and German.",
        ),
        ("Quali articoli ci sono in spagnolo?", "Il workspace non ha contenuti in spagnolo."),
        ("Which pages are not translated into Polish?", "The workspace has no Polish."),
    ],
)
def test_a_locale_that_the_workspace_lacks_is_named(prompt: str, named: str) -> None:
    """None found would be no answer."""
    assert converse(prompt).startswith(named)


@pytest.mark.parametrize("padding", ["please " * 90, "Could you tell me, " * 40])
def test_a_long_prompt_is_read_to_its_end(padding: str) -> None:
    """Prompts over 600 characters are."""
    prompt = f"{padding} which articles did Marco Rinaldi publish in February 2026?"
    assert len(prompt) > 600
    assert listed(converse(prompt)) == ["Night Slopes in the Paganella"]


@pytest.mark.parametrize(
    "prompt", ["hello, who are you?", "hi! what can you do", "ciao, chi sei?", "help", "Hello there"]
)
def test_a_greeting_gets_examples(prompt: str) -> None:
    """And no table of authors."""
    answer = converse(prompt)
    assert answer.count("\n- ") == 5
    assert ": 1" not in answer


@pytest.mark.parametrize(
    ("prompts", "count"),
    [
        (["Which articles did Anna write?", "how many drafts in all?"], 20),
        (["How many articles by Marco?", "how many pages are there in total?"], 18),
        (["Quali articoli ha scritto Anna?", "quante bozze in tutto?"], 20),
        (["List the drafts by Emily", "how many published products do we have overall?"], 25),
    ],
)
def test_in_total_begins_a_new_query(prompts: list[str], count: int) -> None:
    """The conditions before it no longer hold."""
    assert f" {count} " in converse(*prompts)


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("products between 100 and 50 euros", 6),
        ("prodotti tra 100 e 50 euro", 6),
        ("products from 50 to 100 euros", 6),
        ("products between €50 and €100", 6),
    ],
)
def test_bounds_in_either_order_mean_the_same(prompt: str, count: int) -> None:
    """The lower one is the lower one."""
    assert len(listed(converse(prompt))) == count


@pytest.mark.parametrize(
    "prompt",
    [
        "Delete all drafts",
        "please publish Foiling for Beginners",
        "Puoi creare un articolo sulla vela?",
        "Cancella le bozze",
    ],
)
def test_an_order_to_change_content_is_refused(prompt: str) -> None:
    """It is no question."""
    assert "not change it" in converse(prompt) or "non modificarli" in converse(prompt)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Articles that do not mention Garda", "70 articles"),
    ],
)
def test_what_can_be_computed_is(prompt: str, said: str) -> None:
    """Sums, comparisons, places in an order and negations."""
    assert said.split(",", maxsplit=1)[0] in converse(prompt)
