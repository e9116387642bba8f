"""Counts, groups, extremes, averages and superlatives, held against the data files."""

from collections.abc import Callable

import pytest

from tests.sandbox.assistant.oracle import TRUTHS, Holds, Truth, converse, listed, number, those


@pytest.mark.parametrize(
    ("question", "holds"),
    [
        ("How many articles are there?", lambda i: i.article),
        ("Quanti articoli ci sono?", lambda i: i.article),
        ("How many pieces of content are there in total?", lambda _: True),
        ("Quanti contenuti ci sono in totale?", lambda _: True),
        ("How many drafts does Anna Weber have?", lambda i: i.draft and i.author == "Anna"),
        ("Quante bozze ha Anna Weber?", lambda i: i.draft and i.author == "Anna"),
        ("Number of published pages", lambda i: i.page and not i.draft),
        ("How many articles have no German translation?", lambda i: i.article and "de" not in i.locales),
        ("Quanti articoli non hanno la traduzione tedesca?", lambda i: i.article and "de" not in i.locales),
        ("How many tents do we sell?", lambda i: i.category == "tents"),
        ("Quante tende vendiamo?", lambda i: i.category == "tents"),
        ("How many articles were published in February 2026?", lambda i: i.article and i.published[:7] == "2026-02"),
        ("Quanti prodotti costano meno di 100 euro?", lambda i: i.product and (i.price or 0) < 100),
    ],
)
def test_a_count_is_that_of_the_data(question: str, holds: Holds) -> None:
    """Because it was queried."""
    assert number(converse(question)) == len(those(holds))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many articles are there?", "There are 72 articles."),
        ("Quanti articoli ci sono?", "Ci sono 72 articoli."),
        ("How many items do we have?", "There are 120 items: 72 articles, 30 products and 18 pages."),
        ("How many articles and pages are there?", "There are 90 articles and pages: 72 articles and 18 pages."),
        ("How many articles were published in 2024?", "There are no published articles from 2024."),
        ("Quante pagine ha scritto Marco?", "Non c'è nessun risultato (0): pagine di Marco Rinaldi."),
    ],
)
def test_a_count_says_how_it_divides(question: str, answer: str) -> None:
    """By type where types are mixed, else by state."""
    assert converse(question) == answer


@pytest.mark.parametrize(
    ("question", "titles"),
    [
        ("What is the newest article?", ["Breaking News"]),
        ("Qual è l'articolo più recente?", ["Notizia flash"]),
        ("What are the three latest articles?", ["Breaking News", "Weekly Update", "Tech Review"]),
        ("Mostrami gli ultimi tre articoli", ["Notizia flash", "Aggiornamento settimanale", "Recensione tecnica"]),
        ("List two drafts", ["Loyalty Programme", "Easter on the Lake"]),
        ("Latest 2 published pages", ["Gift Cards", "Press"]),
        ("Show the oldest article", ["What We Promise for 2025"]),
        ("Mostra l'articolo più vecchio", ["Che cosa promettiamo per il 2025"]),
        ("What is the oldest draft?", ["Croatia on Thirty Feet"]),
        ("First article published in 2026", ["Our Year in Numbers"]),
        ("Qual è stato l'ultimo articolo pubblicato nel 2025?", ["Orari durante le feste"]),
        ("Which jacket is the cheapest?", ["Ora Wind Jacket"]),
        ("Qual è la giacca più economica?", ["Giacca antivento Ora"]),
        ("Show me the three cheapest tents", ["Tremalzo 1 Tent", "Garda 3 Tent", "Brenta 2 Ultralight Tent"]),
        ("What is the most expensive product?", ["Ledro 5 Family Tent"]),
        ("Qual è il prodotto più caro?", ["Tenda familiare Ledro 5"]),
        ("Which page was changed most recently?", ["Loyalty Programme"]),
        ("Qual è la pagina aggiornata più di recente?", ["Programma fedeltà"]),
        ("What did Emily Carter publish most recently?", ["Breaking News"]),
        ("Quale articolo è uscito più di recente?", ["Notizia flash"]),
        ("Of all our tents, which is the cheapest?", ["Tremalzo 1 Tent"]),
        ("Tra tutte le nostre tende, qual è la più economica?", ["Tremalzo 1 Tent"]),
        ("Quale delle nostre giacche è la più cara?", ["Giacca da sci Livigno"]),
        (
            "Among the published articles, which are the three oldest?",
            ["What We Promise for 2025", "Say Hello to the Repair Team", "Three Tools, One Airbag"],
        ),
        (
            "Fra gli articoli pubblicati, quali sono i tre più vecchi?",
            ["Che cosa promettiamo per il 2025", "Say Hello to the Repair Team", "Tre strumenti e un airbag"],
        ),
    ],
)
def test_a_superlative_finds_the_right_ones_in_their_order(question: str, titles: list[str]) -> None:
    """One if one is spoken of, as many as were asked for, the newest only among the published."""
    assert listed(converse(question)) == titles


@pytest.mark.parametrize(
    ("question", "key", "backwards"),
    [
        ("List all tents sorted by price", lambda i: i.price, False),
        ("Elenca le tende ordinate per prezzo", lambda i: i.price, False),
        ("Elenca le tende, dalla più economica", lambda i: i.price, False),
        ("Elenca le tende, prima le più care", lambda i: i.price, True),
        ("List tents from most expensive to cheapest", lambda i: i.price, True),
        ("Elenca le tende dalla più vecchia alla più recente", lambda i: i.date, False),
        ("tents, oldest first", lambda i: i.date, False),
    ],
)
def test_a_list_is_sorted_as_asked(question: str, key: Callable[[Truth], str], backwards: bool) -> None:
    """By price or date, either way."""
    language = "it" if "tende" in question else "en"
    tents = sorted((item for item in TRUTHS if item.category == "tents"), key=key, reverse=backwards)
    assert listed(converse(question)) == [item.title(language) for item in tents]


def test_a_list_can_be_sorted_by_title() -> None:
    """In the order of the alphabet."""
    titles = listed(converse("Sort all pages alphabetically", "all"))
    assert titles == sorted(titles, key=str.lower)
    assert len(titles) == 18
