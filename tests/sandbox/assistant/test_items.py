"""What is said about single items: everything, or the property that was asked for."""

import pytest

from tests.sandbox.assistant.oracle import converse


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who wrote Tech Review?", "**Tech Review** was written by Thomas Huber."),
        ('Chi ha scritto "Recensione tecnica"?', "Autore di **Recensione tecnica**: Thomas Huber."),
        ("Did Anna write Tech Review?", "**Tech Review** was written by Thomas Huber."),
        ("When was Tech Review published?", "**Tech Review** was published on March 12, 2026."),
        (
            "Quando è stata pubblicata Recensione tecnica?",
            "**Recensione tecnica**: pubblicazione il 12 marzo 2026.",
        ),
        ("How much does the Rovereto Rain Jacket cost?", "The price of **Rovereto Rain Jacket** is €249.00."),
        ("Quanto costa la tenda Garda 3?", "**Tenda Garda 3** costa 289,00 €."),
        ("What is the price of Tech Review?", "**Tech Review** has no price."),
        ("What tags does Breaking News have?", "**Breaking News** is tagged travel."),
        ("Che tag ha Notizia flash?", "Tag di **Notizia flash**: viaggi."),
        ("In which languages is Weekly Update available?", "**Weekly Update** is available in English and Italian."),
        ("Is Weekly Update available in German?", "**Weekly Update** is available in English and Italian."),
        ("In quali lingue è disponibile Notizia flash?", "**Notizia flash** esiste in inglese, italiano e tedesco."),
        (
            "Is the Loyalty Programme page published?",
            "**Loyalty Programme** is a draft and has not been published; it was last changed on March 19, 2026.",
        ),
        (
            "La pagina Programma fedeltà è pubblicata?",
            "**Programma fedeltà** è in bozza e non è ancora online; ultima modifica il 19 marzo 2026.",
        ),
        ("Which category is the Orzo Thermos 0.7 in?", "**Orzo Thermos 0.7** is in the category accessories."),
        ("What type of content is “Size Guide”?", "**Size Guide** is of the type page."),
        ("Che tipo di contenuto è la Guida alle taglie?", "**Guida alle taglie**: tipo pagina."),
    ],
)
def test_a_property_that_is_asked_for_is_said(question: str, answer: str) -> None:
    """In one sentence."""
    assert converse(question) == answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What's our cheapest product, and what does it cost?", "The price of **Lampo Bike Light** is €19.90."),
        ("Qual è il nostro prodotto più economico, e quanto costa?", "**Luce da bici Lampo** costa 19,90 €."),
        ("Who wrote the article about Venice?", "**Venice without the Crowds** was written by Emily Carter."),
        ("Chi ha scritto l'articolo su Venezia?", "Autore di **Venezia senza folla**: Emily Carter."),
        ("Who is the author of the newest product?", "**Lampo Bike Light** was written by Marco Rinaldi."),
    ],
)
def test_an_item_need_not_be_named_in_full(question: str, answer: str) -> None:
    """As long as only one fits."""
    assert converse(question) == answer


def test_details_hold_everything() -> None:
    """The body, and each property with its name."""
    details = converse("Tell me about the Fumo Down-Free Jacket")
    assert details.startswith(
        "**Fumo Down-Free Jacket**\n\nWarmth from recycled fibre. Packs into its own pocket, forgives the washing machine."
    )
    for row in (
        "- Type: product",
        "- State: published",
        "- Published: October 6, 2025",
        "- Author: Anna Weber",
        "- Tags: sustainability",
        "- Category: jackets",
        "- Price: €199.00",
        "- Languages: English, Italian and German",
    ):
        assert row in details.splitlines()


def test_details_of_a_page_with_a_short_title_are_found() -> None:
    """A title of one word counts beside the word page, or in quotes."""
    assert converse("Show the contact page").startswith("**Contact**")
    assert converse("Mostra la pagina Contatti").startswith("**Contatti**")
    assert converse('What does "Warranty" say?').startswith("**Warranty**")


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Show me Breaking News in German", "**Eilmeldung**"),
        ("Show the Italian version of the Size Guide", "**Guida alle taglie**"),
        ("What is the German title of Breaking News?", "**Eilmeldung**"),
        ("Mostrami Notizia flash in tedesco", "**Eilmeldung**"),
        ("Show me Weekly Update in German", "**Weekly Update** is available in English and Italian."),
        (
            "Mostrami Aggiornamento settimanale in tedesco",
            "**Aggiornamento settimanale** esiste in inglese e italiano.",
        ),
    ],
)
def test_an_item_is_shown_in_the_language_that_is_asked_for(question: str, title: str) -> None:
    """Or the answer says that there is no such item."""
    assert converse(question).startswith(title)


def test_a_list_about_one_thing_shows_what_is_asked_of_it() -> None:
    """Authors and tags stand behind the titles where several items were asked for by number."""
    answer = converse("Who wrote the three newest articles?")
    assert "**Weekly Update** (March 14, 2026; Giulia Ferrari)" in answer
