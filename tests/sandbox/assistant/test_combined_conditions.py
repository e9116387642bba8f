"""Conditions can be combined as one likes, in any order: what is found is what they all hold of."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.assistant.oracle import Holds, Truth, converse, listed, number, those, understood

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
AUTHORS: list[Part] = [
    ("by Anna Weber", "di Anna Weber", lambda i: i.author == "Anna"),
    ("by Marco", "di Marco", lambda i: i.author == "Marco"),
    ("by Emily or Davide", "di Emily o Davide", lambda i: i.author in {"Emily", "Davide"}),
    ("not by Giulia Ferrari", "non di Giulia Ferrari", lambda i: i.author != "Giulia"),
]
TAGS: list[Part] = [
    ("tagged hiking", "con il tag escursionismo", lambda i: "hiking" in i.tags),
    ("about sustainability", "sulla sostenibilità", lambda i: "sustainability" in i.tags),
    ("not tagged travel", "senza il tag viaggi", lambda i: "travel" not in i.tags),
    ("tagged company or events", "con il tag azienda o eventi", lambda i: bool(i.tags & {"company", "events"})),
]
LOCALES: list[Part] = [
    ("available in German", "disponibili in tedesco", lambda i: "de" in i.locales),
    ("in Italian", "in italiano", lambda i: "it" in i.locales),
    ("not available in Italian", "non disponibili in italiano", lambda i: "it" not in i.locales),
]
PERIODS: list[Part] = [
    ("from March 2026", "di marzo 2026", lambda i: i.date[:7] == "2026-03"),
    ("from 2025", "del 2025", lambda i: i.date[:4] == "2025"),
    ("since October 2025", "da ottobre 2025", lambda i: i.date >= "2025-10"),
    ("before February 2026", "prima di febbraio 2026", lambda i: i.date < "2026-02"),
]
CONDITIONS = [AUTHORS, TAGS, LOCALES, PERIODS]


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str, Holds]:
    """A question in both languages, and what it means."""
    kind, state = draw(st.sampled_from(KINDS)), draw(st.sampled_from(STATES))
    conditions = [
        draw(st.sampled_from(parts)) for parts in draw(st.permutations(CONDITIONS))[: draw(st.integers(0, 3))]
    ]
    parts = [kind, state, *conditions]
    feminine = kind[1] in {"pagine", "giacche"}
    italian = " ".join(part[1] for part in parts if part[1])
    italian = italian.replace("{pubblicati}", "pubblicate" if feminine else "pubblicati")
    english = " ".join(part[0] for part in [state, kind, *conditions] if part[0])
    return f"List all {english}", f"Elenca {italian}", lambda item: all(part[2](item) for part in parts)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(questions())
def test_any_combination_finds_exactly_what_it_means(question: tuple[str, str, Holds]) -> None:
    """In both languages."""
    english, italian, holds = question
    expected = those(holds)
    for prompt, more in ((english, "show all"), (italian, "tutti")):
        answer = converse(prompt)
        assert understood(answer), (prompt, answer)
        assert number(answer) == len(expected), (prompt, answer)
        if expected:
            assert _same(listed(converse(prompt, more)), expected), prompt


def _same(titles: Sequence[str], items: Sequence[Truth]) -> bool:
    return len(titles) == len(items) and all(
        title in item.titles.values() for title, item in zip(titles, items, strict=True)
    )
