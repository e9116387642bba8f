"""Follow-ups: what "it", "them", "only drafts" and "the second one" mean after what was said before."""

import pytest

from tests.sandbox.assistant.oracle import converse, listed, understood

MARCH = "List all published articles from March 2026"
MARZO = "Elenca tutti gli articoli pubblicati di marzo 2026"


@pytest.mark.parametrize(
    ("prompts", "title"),
    [
        ([MARCH, "Show me the second one"], "Weekly Update"),
        ([MARCH, "the third"], "Tech Review"),
        ([MARCH, "number 1"], "Breaking News"),
        ([MARCH, "2"], "Weekly Update"),
        ([MARCH, "tell me more about number 3"], "Tech Review"),
        ([MARCH, "the last one"], "Tech Review"),
        ([MARCH, "all", "the last one"], "Carnival Races off Torbole"),
        ([MARCH, "the first one", "and the second?"], "Weekly Update"),
        ([MARCH, "the first one", "tell me more"], "Breaking News"),
        ([MARCH, "the second one", "and in Italian?"], "Aggiornamento settimanale"),
        ([MARZO, "mostrami il secondo"], "Aggiornamento settimanale"),
        ([MARZO, "il primo", "e il terzo?"], "Recensione tecnica"),
        ([MARZO, "il numero 3"], "Recensione tecnica"),
        ([MARZO, "il primo", "e in tedesco?"], "Eilmeldung"),
        ([MARZO, "dimmi di più sul primo"], "Notizia flash"),
    ],
)
def test_an_entry_of_the_last_list_is_shown(prompts: list[str], title: str) -> None:
    """By its number, its place, or because it was talked about."""
    assert converse(*prompts).startswith(f"**{title}**\n")


@pytest.mark.parametrize(
    ("prompts", "answer"),
    [
        ([MARCH, "the second one", "who wrote it?"], "**Weekly Update** was written by Giulia Ferrari."),
        ([MARCH, "the second one", "and the price?"], "**Weekly Update** has no price."),
        ([MARCH, "the second one", "when was it published?"], "**Weekly Update** was published on March 14, 2026."),
        ([MARCH, "who wrote the second one?"], "**Weekly Update** was written by Giulia Ferrari."),
        ([MARZO, "il secondo", "chi l'ha scritto?"], "Autore di **Aggiornamento settimanale**: Giulia Ferrari."),
        (
            [MARZO, "il secondo", "quando è stato pubblicato?"],
            "**Aggiornamento settimanale**: pubblicazione il 14 marzo 2026.",
        ),
        ([MARCH, "how many are there?"], "There are 12 published articles from March 2026."),
        ([MARZO, "quanti sono?"], "Ci sono 12 articoli pubblicati di marzo 2026."),
        (["Elenca le pagine", "quante sono pubblicate?"], "Ci sono 15 pagine pubblicate."),
        (["List all pages", "how many are available in German?"], "There are 9 pages available in German."),
        (
            ["How many articles did Elena publish in 2025?", "How many were published in 2026?"],
            "There are 3 published articles by Elena Moretti from 2026.",
        ),
        (["How many articles are there?", "and products?"], "There are 30 products."),
        (["Quanti articoli ci sono?", "e prodotti?"], "Ci sono 30 prodotti."),
        (["Show all pages", "how many of them are drafts?"], "There are 3 draft pages among those."),
        (
            ["Mostra tutte le pagine", "quante di queste sono in bozza?"],
            "Ci sono 3 pagine in bozza tra quelli elencati.",
        ),
    ],
)
def test_a_question_about_it_or_them_is_answered(prompts: list[str], answer: str) -> None:
    """With what was said before."""
    assert converse(*prompts) == answer


@pytest.mark.parametrize(
    ("prompts", "heading", "count"),
    [
        (
            ["List all articles from March 2026", "only drafts"],
            "I found 4 draft articles from March 2026",
            4,
        ),
        (["List all drafts", "only articles", "only by Emily"], "I found 2 draft articles by Emily Carter", 2),
        ([MARCH, "only those tagged hiking"], "I found 3 published articles from March 2026 tagged “hiking”", 3),
        ([MARCH, "which of them are by Marco?"], "I found 2 articles by Marco Rinaldi among those", 2),
        ([MARCH, "what about February?"], "I found 5 published articles from February 2026", 5),
        ([MARCH, "and in Italian?"], "I found 11 published articles from March 2026 available in Italian", 11),
        (["Which articles did Anna write?", "and Davide?"], "I found 9 articles by Davide Gallo", 9),
        (["List the drafts", "only articles", "oldest first"], "I found 12 draft articles. Here are the oldest", 3),
        (["Show the 3 newest articles", "only by Giulia"], "I found 1 article by Giulia Ferrari among those", 1),
        (["List all pages", "more"], "Numbers 4 to 13 of the 18 pages", 10),
        (["List all pages", "more", "more"], "Numbers 14 to 18 of the 18 pages", 5),
        (["List all pages", "show all"], "I found 18 pages. Here they are, the most recent first", 18),
        (
            ["Elenca gli articoli di marzo 2026", "solo le bozze"],
            "Ho trovato 4 articoli in bozza di marzo 2026",
            4,
        ),
        ([MARZO, "e in italiano?"], "Ho trovato 11 articoli pubblicati di marzo 2026 disponibili in italiano", 11),
        ([MARZO, "solo quelli di Anna"], "Ho trovato 1 articolo pubblicato di marzo 2026 di Anna Weber", 1),
        (["Elenca le pagine", "altre"], "Dal numero 4 al 13 di 18 pagine", 10),
        (["Elenca le pagine", "tutte"], "Ho trovato 18 pagine. Eccoli, dal più recente", 18),
        (["Mostra le tende", "ordinale per prezzo"], "Ho trovato 5 contenuti nella categoria «tende»", 5),
        (["Show the tents", "under 300 euros"], "I found 2 items in the category “tents” with price under €300.00", 2),
        (
            ["Mostrami le tende", "quali costano meno di 300 euro?"],
            "Ho trovato 2 contenuti nella categoria «tende» con prezzo sotto 300,00 €",
            2,
        ),
        (["Show published articles by Anna", "drafts too"], "I found 10 articles by Anna Weber", 10),
        (["Mostrami gli articoli pubblicati di Anna", "anche le bozze"], "Ho trovato 10 articoli di Anna Weber", 10),
        (["Articoli pubblicati di Anna", "ci sono anche bozze?"], "Ho trovato 2 articoli in bozza di Anna Weber", 2),
        (["Articoli pubblicati di Anna", "di qualsiasi tipo"], "Ho trovato 16 contenuti pubblicati di Anna Weber", 3),
        (["How many articles are about sailing?", "show them"], "I found 7 articles among those", 7),
        (["Quante bozze ha Emily?", "quali sono?"], "Ho trovato 4 contenuti in bozza di Emily Carter", 4),
    ],
)
def test_a_follow_up_narrows_exchanges_or_continues(prompts: list[str], heading: str, count: int) -> None:
    """Only, and, which of them, more, all."""
    answer = converse(*prompts)
    assert answer.startswith(heading)
    assert len(listed(answer)) == count


@pytest.mark.parametrize(
    ("prompts", "title"),
    [
        (["Show the published bestsellers", "Which is the cheapest?"], "Cima Trekking Poles"),
        (["Show the published bestsellers", "And the most expensive one?"], "Brenta 2 Ultralight Tent"),
        (["Mostrami i bestseller pubblicati", "Qual è il più economico?"], "Bastoncini da trekking Cima"),
        (["How many jackets do we have?", "What is the cheapest?"], "Ora Wind Jacket"),
        (["Show me the 5 newest articles", "Which of them is the oldest?"], "Five Easy Walks for Small Legs"),
        (["Show me the 5 newest articles", "and the oldest?"], "What We Promise for 2025"),
        (
            ["Mostrami gli ultimi cinque articoli", "Qual è, di questi, il più vecchio?"],
            "Cinque passeggiate per gambe piccole",
        ),
        (["Elenca le tende", "le due più economiche", "e la più cara?"], "Tenda familiare Ledro 5"),
        (["Which tents do we have?", "the cheapest one?", "and the most expensive?"], "Ledro 5 Family Tent"),
        (["Che tende abbiamo?", "la più economica?", "e la più cara?"], "Tenda familiare Ledro 5"),
    ],
)
def test_a_superlative_without_a_noun_means_one_of_the_list_before(prompts: list[str], title: str) -> None:
    """As long as that list was, not the whole workspace."""
    assert listed(converse(*prompts)) == [title]


def test_of_a_list_without_prices_nothing_is_the_cheapest() -> None:
    """That is not understood, rather than "none found"."""
    assert not understood(converse("Show me the 5 newest articles", "Which is the cheapest?"))
    assert not understood(converse("Mostrami gli ultimi cinque articoli", "E il più caro?"))


@pytest.mark.parametrize(
    ("prompts", "answer"),
    [
        (
            ["Show me the second one"],
            "I did not understand what that refers to: there is no earlier result in this conversation.",
        ),
        (["It"], "I did not understand what that refers to: there is no earlier result in this conversation."),
        (["more"], "I did not understand what that refers to: there is no earlier result in this conversation."),
        (
            ["mostrami il secondo"],
            "Non ho capito a che cosa si riferisca: in questa conversazione non c'è un risultato precedente.",
        ),
        (["What is the newest page?", "the fifth"], "The last list has fewer entries: 1."),
        (["Qual è la pagina più recente?", "il quinto"], "L'ultimo elenco ha meno voci: 1."),
        (["Show the tents", "more"], "That was all; there is nothing more to show."),
        ([MARCH, "yes"], "Which one? Tell me its number or its title."),
        ([MARCH, "no thanks"], "All right."),
        ([MARCH, "thanks"], "You are welcome."),
        ([MARZO, "sì"], "Quale? Dimmi il numero o il titolo."),
        ([MARZO, "grazie"], "Prego."),
    ],
)
def test_what_cannot_be_referred_to_is_said(prompts: list[str], answer: str) -> None:
    """Rather than guessed."""
    assert converse(*prompts).startswith(answer)


def test_what_was_not_understood_does_not_end_the_conversation() -> None:
    """The list before is still there."""
    assert converse(MARCH, "blah blah", "the first one").startswith("**Breaking News**")


def test_a_whole_question_begins_anew() -> None:
    """It does not lean on what was said before."""
    assert converse(MARCH, "How many pages are there in German?").startswith("There are 9 pages available in German")


def test_the_language_may_change_within_a_conversation() -> None:
    """The answer is in the language of its question; a bare number stays in the one before."""
    assert converse(MARCH, "quanti sono?").startswith("Ci sono 12 articoli")
    assert "- Tipo: articolo" in converse(MARZO, "2")


@pytest.mark.parametrize("greeting", ["Hello!", "What can you do?", "Ciao", "Cosa sai fare?"])
def test_examples_are_given_and_each_of_them_works(greeting: str) -> None:
    """In the language of the greeting."""
    examples = [line[2:] for line in converse(greeting).splitlines() if line.startswith("- ")]
    assert len(examples) == 5
    for example in examples:
        answer = converse(example)
        assert understood(answer)
        assert "found no " not in answer
        assert "nessun" not in answer
