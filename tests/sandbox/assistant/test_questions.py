"""Each question, in English and in Italian, is answered with exactly the items of which its condition holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.assistant.oracle import Holds, assert_found, converse, listed

Part = tuple[str, str, Holds]

KINDS: list[Part] = [
    ("articles", "articoli", lambda i: i.article),
    ("products", "prodotti", lambda i: i.product),
    ("pages", "pagine", lambda i: i.page),
    ("items", "contenuti", lambda _: True),
    ("jackets", "giacche", lambda i: i.category == "jackets"),
]
STATES: list[Part] = [
    ("", "", lambda _: True),
    ("published", "{pubblicati}", lambda i: not i.draft),
    ("draft", "in bozza", lambda i: i.draft),
]
CONDITIONS: list[list[Part]] = [
    [
        ("by Anna Weber", "di Anna Weber", lambda i: i.author == "Anna"),
        ("by Marco", "di Marco", lambda i: i.author == "Marco"),
        ("by Emily or Davide", "di Emily o Davide", lambda i: i.author in {"Emily", "Davide"}),
        ("not by Giulia Ferrari", "non di Giulia Ferrari", lambda i: i.author != "Giulia"),
    ],
    [
        ("tagged hiking", "con il tag escursionismo", lambda i: "hiking" in i.tags),
        ("about sustainability", "sulla sostenibilità", lambda i: "sustainability" in i.tags),
        ("not tagged travel", "senza il tag viaggi", lambda i: "travel" not in i.tags),
        ("tagged company or events", "con il tag azienda o eventi", lambda i: bool(i.tags & {"company", "events"})),
    ],
    [
        ("available in German", "disponibili in tedesco", lambda i: "de" in i.titles),
        ("in Italian", "in italiano", lambda i: "it" in i.titles),
        ("not available in Italian", "non disponibili in italiano", lambda i: "it" not in i.titles),
    ],
    [
        ("from March 2026", "di marzo 2026", lambda i: i.date[:7] == "2026-03"),
        ("from 2025", "del 2025", lambda i: i.date[:4] == "2025"),
        ("since October 2025", "da ottobre 2025", lambda i: i.date >= "2025-10"),
        ("before February 2026", "prima di febbraio 2026", lambda i: i.date < "2026-02"),
    ],
]


@st.composite
def questions(draw: st.DrawFn) -> Part:
    """A question in both languages, and what it means."""
    kind, state = draw(st.sampled_from(KINDS)), draw(st.sampled_from(STATES))
    kinds = draw(st.permutations(CONDITIONS))[: draw(st.integers(0, 3))]
    conditions = [draw(st.sampled_from(parts)) for parts in kinds]
    parts = [kind, state, *conditions]
    english = " ".join(part[0] for part in [state, kind, *conditions])
    participle = "pubblicate" if kind[1] in {"pagine", "giacche"} else "pubblicati"
    italian = " ".join(part[1] for part in parts).replace("{pubblicati}", participle)
    return f"List all {english}", f"Elenca {italian}", lambda item: all(part[2](item) for part in parts)


@settings(derandomize=True, max_examples=100)
@given(questions())
def test_conditions_can_be_combined_in_any_order(question: Part) -> None:
    english, italian, holds = question
    assert_found(english, holds)
    assert_found(italian, holds, "tutti")


@pytest.mark.parametrize(
    ("english", "italian", "holds"),
    [
        ("Which articles are still unpublished?", "Quali articoli non sono ancora pubblicati?",
         lambda i: i.article and i.draft),
        ("Everything but pages", "Tutto tranne le pagine", lambda i: not i.page),
        ("Which drafts are older than January 2026?", "Quali bozze sono più vecchie di gennaio 2026?",
         lambda i: i.draft and i.date < "2026-01-01"),
        ("Anna's articles of 2025", "articoli di Anna del 2025",  # her name has the stem of "anno"
         lambda i: i.article and i.author == "Anna" and i.date.startswith("2025")),
        ("Articles that do not mention Garda", "Articoli che non menzionano Garda",
         lambda i: i.article and "garda" not in i.text),
        ('Search for "olive oil"', 'Cerca "olio d\'oliva"', lambda i: "olive oil" in i.text),
        ("Which items are neither in Italian nor in German?", "Quali contenuti non sono né in italiano né in tedesco?",
         lambda i: not i.titles.keys() & {"it", "de"}),
        ("products between €100 and €50", "prodotti tra 100 e 50 euro", lambda i: i.product and 50 <= i.price <= 100),
        ("Search for unicorns", "Articoli che parlino di unicorni", lambda _: False),
    ],
)  # fmt: skip
def test_a_question_finds_exactly_what_it_means(english: str, italian: str, holds: Holds) -> None:
    assert_found(english, holds)
    assert_found(italian, holds, "tutti")


@pytest.mark.parametrize(
    ("english", "italian", "first", "last"),
    [
        ("from April", "di aprile", "2025-04-01", "2025-04-30"),  # the most recent one that has begun
        ("from April 2", "del 2 aprile", "2025-04-02", "2025-04-02"),
        ("from March 8", "dell'8 marzo", "2026-03-08", "2026-03-08"),
        ("from March 8 on", "dall'8 marzo", "2026-03-08", "9999"),
        ("since March 8", "dall'8 marzo in poi", "2026-03-08", "9999"),
        ("older than January 2026", "più vecchi di gennaio 2026", "", "2025-12-31"),
        ("until March 10, 2026", "entro il 10 marzo 2026", "", "2026-03-10"),
        ("from 1 to 10 March", "dall'1 al 10 marzo", "2026-03-01", "2026-03-10"),
        ("between March 1 and March 10, 2026", "tra il 1 marzo e il 10 marzo 2026", "2026-03-01", "2026-03-10"),
        ("from November to February", "da novembre a febbraio", "2025-11-01", "2026-02-28"),
        ("of last week", "della settimana scorsa", "2026-03-09", "2026-03-15"),  # weeks begin on Monday
        ("of this month", "di questo mese", "2026-03-01", "2026-03-31"),
        ("of next month", "del mese prossimo", "2026-04-01", "2026-04-30"),
        ("from March of last year", "di marzo dell'anno scorso", "2025-03-01", "2025-03-31"),
        ("from last December", "dello scorso dicembre", "2025-12-01", "2025-12-31"),
        ("from Q1 2026", "del primo trimestre 2026", "2026-01-01", "2026-03-31"),
        ("from the fourth quarter", "del quarto trimestre", "2025-10-01", "2025-12-31"),
        ("from the first half of 2025", "della prima metà del 2025", "2025-01-01", "2025-06-30"),
    ],
)
def test_a_period_is_understood_on_march_20_2026(english: str, italian: str, first: str, last: str) -> None:
    assert_found(f"Articles {english}", lambda i: i.article and first <= i.date[:10] <= last)
    assert_found(f"Articoli {italian}", lambda i: i.article and first <= i.date[:10] <= last, "tutti")


@pytest.mark.parametrize(
    ("question", "titles"),
    [
        ("Qual è la pagina aggiornata più di recente?", ["Programma fedeltà"]),
        ("What is the newest article in German?", ["Eilmeldung"]),
        ("Contenuti in inglese del 14 marzo 2026", ["Weekly Update"]),
        ("Jackets over 240 euros in alphabetical order",
         ["Livigno Ski Jacket", "Rovereto Rain Jacket", "Torbole Sailing Jacket"]),
    ],
)  # fmt: skip
def test_titles_are_in_the_language_asked_for_or_else_asked_in(question: str, titles: list[str]) -> None:
    """One title for a superlative, or as many as were asked for."""
    assert listed(converse(question)) == titles


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("In quali lingue è disponibile Notizia flash?", "**Notizia flash** esiste in inglese, italiano e tedesco."),
        ("Is the Loyalty Programme page published?",
         "**Loyalty Programme** is a draft and has not been published; it was last changed on March 19, 2026."),
        ("What is the German title of Breaking News?", "**Eilmeldung**"),
        ("Show me Weekly Update in German", "**Weekly Update** is available in English and Italian."),
        ("Show the contact page", "**Contact**"),  # a title of one word, beside the word for its type
        ("Tell me about the Fumo Down-Free Jacket", "**Fumo Down-Free Jacket**\n\nWarmth from recycled fibre."),
        ("How many items do we have?", "There are 120 items: 72 articles, 30 products and 18 pages."),
        ("How many articles were published in 2024?", "There are no published articles from 2024."),
        ("Quante pagine ha scritto Marco?", "Non c'è nessun risultato (0): pagine di Marco Rinaldi."),
    ],
)  # fmt: skip
def test_a_question_about_one_item_or_a_number_is_answered_in_one_sentence(question: str, answer: str) -> None:
    assert converse(question).startswith(answer)
