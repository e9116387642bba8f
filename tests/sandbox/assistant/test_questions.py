"""Each question, in English and in Italian, is answered with exactly the items of which its condition holds."""

import pytest

from tests.sandbox.assistant.oracle import Holds, converse, listed, number, those, understood


def _within(stamp: str, first: str, last: str = "9999") -> bool:
    return first <= stamp[:10] <= last


QUESTIONS: list[tuple[str, str, Holds]] = [
    ("List all articles", "Elenca tutti gli articoli", lambda i: i.article),
    ("Show me the products", "Mostrami i prodotti", lambda i: i.product),
    ("Which pages are there?", "Quali pagine ci sono?", lambda i: i.page),
    ("List all drafts", "Elenca tutte le bozze", lambda i: i.draft),
    (
        "Which articles are still unpublished?",
        "Quali articoli non sono ancora pubblicati?",
        lambda i: i.article and i.draft,
    ),
    ("Which pages are drafts?", "Quali pagine sono in bozza?", lambda i: i.page and i.draft),
    ("List the published products", "Elenca i prodotti pubblicati", lambda i: i.product and not i.draft),
    ("Everything but pages", "Tutto tranne le pagine", lambda i: not i.page),
    (
        "Drafts except those by Anna and Marco",
        "Bozze tranne quelle di Anna e Marco",
        lambda i: i.draft and i.author not in {"Anna", "Marco"},
    ),
    (
        "Show everything that is not an article",
        "Mostra tutti i contenuti che non sono articoli",
        lambda i: not i.article,
    ),
    ("articles and pages", "articoli e pagine", lambda i: i.article or i.page),
    (
        "List all published articles from March 2026",
        "Elenca tutti gli articoli pubblicati di marzo 2026",
        lambda i: i.article and _within(i.published, "2026-03-01"),
    ),
    (
        "Which articles were published in March?",
        "Quali articoli sono stati pubblicati a marzo?",
        lambda i: i.article and _within(i.published, "2026-03-01", "2026-03-31"),
    ),
    (
        "published articles from December",
        "articoli pubblicati a dicembre",
        lambda i: i.article and _within(i.published, "2025-12-01", "2025-12-31"),
    ),
    (
        "Which drafts are older than January 2026?",
        "Quali bozze sono più vecchie di gennaio 2026?",
        lambda i: i.draft and i.updated < "2026-01-01",
    ),
    ("Show me Giulia's articles", "Mostrami gli articoli di Giulia", lambda i: i.article and i.author == "Giulia"),
    (
        "articles by Anna or Elena",
        "articoli di Anna o Elena",
        lambda i: i.article and i.author in {"Anna", "Elena"},
    ),
    ("Which articles are not by Anna?", "Quali articoli non sono di Anna?", lambda i: i.article and i.author != "Anna"),
    ("Articles tagged sailing", "Articoli con il tag vela", lambda i: i.article and "sailing" in i.tags),
    ("content tagged “hiking”", "contenuti con il tag «hiking»", lambda i: "hiking" in i.tags),
    (
        "Articles tagged hiking or cycling",
        "Articoli con il tag escursionismo o ciclismo",
        lambda i: i.article and bool({"hiking", "cycling"} & i.tags),
    ),
    (
        "Which articles about hiking were published in 2025?",
        "Quali articoli sull'escursionismo sono stati pubblicati nel 2025?",
        lambda i: i.article and "hiking" in i.tags and i.published.startswith("2025"),
    ),
    ("articles about avalanches", "articoli sulle valanghe", lambda i: i.article and "avalanche" in i.text),
    ("Which articles mention Verona?", "Quali articoli menzionano Verona?", lambda i: i.article and "verona" in i.text),
    ("Find content about Lake Garda", "Trova contenuti sul lago di Garda", lambda i: "lake garda" in i.text),
    ('Search for "olive oil"', 'Cerca "olio d\'oliva"', lambda i: "olive oil" in i.text),
    (
        "Which articles are available in German?",
        "Quali articoli sono disponibili in tedesco?",
        lambda i: i.article and "de" in i.locales,
    ),
    (
        "Which articles are not translated into Italian?",
        "Quali articoli non sono tradotti in italiano?",
        lambda i: i.article and "it" not in i.locales,
    ),
    (
        "Which products are available in all languages?",
        "Quali prodotti sono disponibili in tutte le lingue?",
        lambda i: i.product and len(i.locales) == 3,
    ),
    (
        "Items in Italian but not in German",
        "Contenuti in italiano ma non in tedesco",
        lambda i: "it" in i.locales and "de" not in i.locales,
    ),
    (
        "Which items are neither in Italian nor in German?",
        "Quali contenuti non sono né in italiano né in tedesco?",
        lambda i: not i.locales & {"it", "de"},
    ),
    (
        "Which products cost less than 50 euros?",
        "Quali prodotti costano meno di 50 euro?",
        lambda i: i.product and (i.price or 0) < 50,
    ),
    (
        "Products between 100 and 200 euros",
        "Prodotti tra 100 e 200 euro",
        lambda i: i.product and 100 <= (i.price or 0) <= 200,
    ),
    ("products over €300", "prodotti sopra i 300 euro", lambda i: i.product and (i.price or 0) > 300),
    ("Which tents do we have?", "Che tende abbiamo?", lambda i: i.category == "tents"),
    (
        "Any jackets under 200 euros?",
        "Ci sono giacche sotto i 200 euro?",
        lambda i: i.category == "jackets" and (i.price or 0) < 200,
    ),
    (
        "Which camping products cost less than 200 euros?",
        "Quali prodotti da campeggio costano meno di 200 euro?",
        lambda i: i.product and "camping" in i.tags and (i.price or 0) < 200,
    ),
    (
        "Which bestsellers cost more than 200 euros?",
        "Quali bestseller costano più di 200 euro?",
        lambda i: "bestseller" in i.tags and (i.price or 0) > 200,
    ),
    (
        "What was published in 2024?",
        "Cosa è stato pubblicato nel 2024?",
        lambda i: i.published.startswith("2024"),
    ),
    ("Is there anything about dogs?", "C'è qualcosa sui cani?", lambda i: " dog" in i.text),
    (
        "Could you list the sailing articles, drafts and all?",
        "Mi elenchi gli articoli di vela, bozze comprese?",
        lambda i: i.article and "sailing" in i.tags,
    ),
    (
        "Which products cost more than 400 euros, drafts included?",
        "Quali prodotti costano più di 400 euro, incluse le bozze?",
        lambda i: i.product and (i.price or 0) > 400,
    ),
    (
        "Which products are available in Italian, drafts too?",
        "Quali prodotti sono disponibili in italiano, anche le bozze?",
        lambda i: i.product and "it" in i.locales,
    ),
    (
        "Show me the products under 60 euros, drafts excluded",
        "Mostrami i prodotti sotto i 60 euro, bozze escluse",
        lambda i: i.product and not i.draft and (i.price or 0) < 60,
    ),
    (
        "Please show me the drafts about skiing, whatever the type.",
        "Mi mostri le bozze sullo sci, di qualsiasi tipo?",
        lambda i: i.draft and "skiing" in i.tags,
    ),
    (
        "I'd like to see an article that mentions Malcesine.",
        "Vorrei vedere un articolo che menzioni Malcesine.",
        lambda i: i.article and "malcesine" in i.text,
    ),
    (
        "I am looking for an article about chestnuts",
        "Ci serve un articolo che parli di castagne",
        lambda i: i.article and "chestnut" in i.text,
    ),
    (
        "Would you mind telling me which pages are in German?",
        "Potreste dirmi quali pagine ci sono in tedesco?",
        lambda i: i.page and "de" in i.locales,
    ),
]


ENGLISH = [(english, holds) for english, _, holds in QUESTIONS]
ITALIAN = [(italian, holds) for _, italian, holds in QUESTIONS]


@pytest.mark.parametrize(("question", "holds"), ENGLISH)
def test_an_english_question_finds_exactly_what_it_means(question: str, holds: Holds) -> None:
    """Number, items and order, the most recent first."""
    _check(question, holds, "all")


@pytest.mark.parametrize(("question", "holds"), ITALIAN)
def test_an_italian_question_finds_exactly_what_it_means(question: str, holds: Holds) -> None:
    """Number, items and order, the most recent first."""
    _check(question, holds, "tutti")


def _check(question: str, holds: Holds, all_of_them: str) -> None:
    expected = those(holds)
    answer = converse(question)
    assert understood(answer), answer
    assert number(answer) == len(expected), answer
    if expected:
        titles = listed(converse(question, all_of_them))
        assert len(titles) == len(expected)
        assert all(title in item.titles.values() for title, item in zip(titles, expected, strict=True))


@pytest.mark.parametrize("question", ["Quali articoli ha scritto Anna nel 2025?", "articoli di Anna del 2025"])
def test_anna_is_no_year(question: str) -> None:
    """Her name has the stem of "anno"."""
    assert number(converse(question)) == 6
    assert number(converse(question.replace("Anna", "Giulia"))) == number(converse("Articoli del 2025 di Giulia"))


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("List all drafts about cycling", "Radar Lights for Road Bikes"),
        ("Elenca le bozze sul ciclismo", "Luci radar per bici da corsa"),
        ("What is the newest article in German?", "Eilmeldung"),
        ("Items in Italian from March 14, 2026", "Aggiornamento settimanale"),
        ("Contenuti in inglese del 14 marzo 2026", "Weekly Update"),
    ],
)
def test_titles_are_in_the_language_asked_for_or_asked_in(question: str, title: str) -> None:
    """The one that is named first, then the question's, then English, then whichever there is."""
    assert listed(converse(question)) == [title]
