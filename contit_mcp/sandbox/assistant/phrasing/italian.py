"""Answers in Italian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.phrasing import italian_subject as it
from contit_mcp.sandbox.assistant.phrasing.english_subject import joined
from contit_mcp.sandbox.assistant.phrasing.italian_item import item_details, item_fact
from contit_mcp.sandbox.assistant.phrasing.phrases import Phrases

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute, Item
    from contit_mcp.sandbox.assistant.query import Dimension, Locale, Order, Query
    from contit_mcp.sandbox.assistant.reading.vocabulary import Language

_SUPERLATIVES: Final = {
    ("date", True): ("più recente", "più recenti"),
    ("date", False): ("meno recente", "meno recenti"),
    ("updated", True): ("con la modifica più recente", "con le modifiche più recenti"),
    ("updated", False): ("con la modifica meno recente", "con le modifiche meno recenti"),
    ("created", True): ("con la creazione più recente", "con la creazione più recente"),
    ("created", False): ("con la creazione meno recente", "con la creazione meno recente"),
    ("price", False): ("con il prezzo più basso", "con i prezzi più bassi"),
    ("price", True): ("con il prezzo più alto", "con i prezzi più alti"),
    ("title", False): ("per titolo", "per titolo"),
}
_SORTED: Final = {
    ("date", True): "a partire dal più recente",
    ("date", False): "a partire dal meno recente",
    ("updated", True): "a partire dall'ultima modifica",
    ("updated", False): "a partire dalla modifica meno recente",
    ("created", True): "a partire dall'ultima creazione",
    ("created", False): "a partire dalla prima creazione",
    ("price", False): "a partire dal prezzo più basso",
    ("price", True): "a partire dal prezzo più alto",
    ("title", False): "in ordine di titolo",
}
_GROUPS: Final = {
    "type": ("tipo di contenuto", "tipi di contenuto", "Il", "I"),
    "state": ("stato", "stati", "Lo", "Gli"),
    "author": ("autore", "autori", "L'", "Gli"),
    "tag": ("tag", "tag", "Il", "I"),
    "locale": ("lingua", "lingue", "La", "Le"),
    "category": ("categoria", "categorie", "La", "Le"),
    "month": ("mese", "mesi", "Il", "I"),
    "year": ("anno", "anni", "L'", "Gli"),
}
_REMARKS: Final = {
    "greeting": "Ciao! Rispondo a domande sui contenuti di questo workspace, cercandoli.",
    "thanks": "Prego.",
    "help": "Cerco articoli, prodotti e pagine per tipo, stato, data, autore, tag, lingua, prezzo e parole.",
    "goodbye": "Va bene.",
    "which_one": "Quale? Dimmi il numero o il titolo.",
    "that_was_all": "Era tutto: non c'è altro da mostrare.",
    "nothing_before": "Non so a che cosa si riferisca: in questa conversazione non c'è un risultato precedente.",
}


class Italian(Phrases):
    """Italian."""

    language: Language = "it"
    examples = (
        "Elenca tutti gli articoli pubblicati di marzo 2026",
        "Quante bozze ha Anna Weber?",
        "Quali articoli su Verona non sono disponibili in tedesco?",
        "Mostrami le tre tende più economiche",
        "Quando è stata pubblicata Recensione tecnica?",
    )

    def subject(self, query: Query, count: int) -> str:
        """Say which items a query means, with their number."""
        if count:
            return f"{count} {it.subject(query, count)}"
        none = "nessuna" if it.feminine(query) else "nessun"
        return f"{none} {it.subject(query, 1)}"

    def value(self, dimension: Dimension, value: str) -> str:
        """Say one value of a dimension."""
        return it.value_words(dimension, value)

    def money(self, amount: float) -> str:
        """Say a price."""
        return it.money_words(amount)

    def found(self, query: Query, count: int, *, whole: bool) -> str:
        """Say how many were found, as a heading of their list."""
        order = query.order
        one = count == 1
        if query.limit is None:
            feminine = it.feminine(query)
            here = f"Ecc{('oli', 'ole')[feminine]}, {_sorted(order)}"
            if one:
                here = f"Ecc{('olo', 'ola')[feminine]}"
            elif not whole:
                key, descending = (order.key, order.descending) if order else ("date", True)
                here = f"Ecco {('i', 'le')[feminine]} primi, {_sorted(order)}"
                if key == "date":
                    here = f"Ecco {('i', 'le')[feminine]} {_SUPERLATIVES[key, descending][1]}"
                elif feminine:
                    here = here.replace("primi", "prime")
            return f"Ho trovato {self.subject(query, count)}. {here}:"
        if count < query.limit:
            return f"Ho trovato solo {self.subject(query, count)}:"
        superlative = _SUPERLATIVES[order.key, order.descending] if order else _SUPERLATIVES["date", True]
        number = "" if one else f"{count} "
        return f"{it.the(query, count)}{number}{it.subject(query, count, superlative[not one])}:"

    def found_none(self, query: Query) -> str:
        """Say that there are none."""
        return f"Non ho trovato {self.subject(query, 0)}."

    def continued(self, query: Query, first: int, last: int, count: int) -> str:
        """Say which part of a long list follows."""
        return f"Dal numero {first} al {last} di {self.subject(query, count)}:"

    def counted(self, query: Query, count: int, parts: list[tuple[str, int]], dimension: Dimension | None) -> str:
        """Say how many there are, and how they divide."""
        if not count:
            return f"Non c'è {self.subject(query, 0)}."
        there = "C'è" if count == 1 else "Ci sono"
        sentence = f"{there} {self.subject(query, count)}"
        if dimension:
            named = [f"{number} {self._counted_value(query, dimension, value, number)}" for value, number in parts]
            sentence += f": {joined(named, 'e')}"
        return f"{sentence}."

    def _counted_value(self, query: Query, dimension: Dimension, value: str, number: int) -> str:
        match dimension:
            case "type":
                return it.TYPES[value][number != 1]
            case "category":
                return it.CATEGORIES[value][number != 1]
            case "state":
                return "in bozza" if value == "Draft" else it.ending("pubblicat", query, number)
            case "author":
                return f"di {value}"
            case _:
                return self.value(dimension, value)

    def grouped(self, query: Query, count: int, groups: int, dimension: Dimension) -> str:
        """Say over how many groups they are spread."""
        return f"Ho trovato {self.subject(query, count)}, in {groups} {_GROUPS[dimension][groups != 1]}:"

    def extreme(self, query: Query, names: list[str], count: int, dimension: Dimension, *, most: bool) -> str:
        """Say which group is the largest or smallest."""
        one = len(names) == 1
        article = _GROUPS[dimension][2 if one else 3]
        word = f"{article}{'' if article.endswith(chr(39)) else ' '}{_GROUPS[dimension][not one]}"
        bold = joined([f"**{name}**" for name in names], "e")
        which = "il maggior numero" if most else "il minor numero"
        each = "" if one else " ciascuno"
        return f"{word} con {which}: {bold}, con {self.subject(query, count)}{each}."

    def average(self, query: Query, count: int, average: float, low: float, high: float) -> str:
        """Say the average price."""
        range_ = f", da {it.money_words(low)} a {it.money_words(high)}" if count > 1 else ""
        return f"Il prezzo medio di {self.subject(query, count)} è **{it.money_words(average)}**{range_}."

    def note(self, item: Item, *, year: bool, typed: bool, by: str) -> str:
        """Say the date and state of an item."""
        parts = [it.TYPES[item.type][0]] if typed else []
        if item.state == "Draft":
            parts.append("bozza")
        when = {"updated": item.updated, "created": item.created}.get(by, item.date).date()
        changed = "ultima modifica "
        verb = {"updated": changed, "created": "creazione "}.get(by, "" if item.published else changed)
        return ", ".join([*parts, verb + it.day_words(when, year=year)])

    def drafts_dated(self) -> str:
        """Say by which date drafts were counted."""
        return "Le bozze contano con la data dell'ultima modifica."

    def offer(self, count: int, *, more: bool) -> str:
        """Offer to go on."""
        if more:
            return "Scrivi «altri» per i successivi, o «tutti» per l'elenco completo."
        return "Vuoi che ne mostri i dettagli?" if count == 1 else "Vuoi che mostri più dettagli su qualcuno di questi?"

    def details(self, item: Item) -> list[tuple[str, str]]:
        """Return an item's properties with their names."""
        return item_details(item)

    def fact(self, item: Item, title: str, attribute: Attribute) -> str:
        """Say one property of an item."""
        return item_fact(item, f"**{title}**", attribute)

    def not_in(self, title: str, locale: Locale) -> str:
        """Say that an item has no text in a language."""
        return f"**{title}** non esiste in {it.LANGUAGES[locale]}."

    def remark(self, name: str) -> str:
        """Say one of the fixed sentences."""
        return _REMARKS[name]

    def no_such_entry(self, count: int) -> str:
        """Say how many entries the last list has."""
        return f"L'ultimo elenco ha solo {count} {'voce' if count == 1 else 'voci'}."

    def not_understood(self, parts: tuple[str, ...]) -> str:
        """Say what was not understood."""
        if not parts:
            return "Non ho capito la domanda. Non sono un modello linguistico: cerco nei contenuti."
        return f"Non ho capito {joined([f'«{part}»' for part in parts], 'e')}, e non rispondo tirando a indovinare."

    def try_these(self) -> str:
        """Introduce the examples."""
        return "Domande che funzionano, per esempio:"


def _sorted(order: Order | None) -> str:
    return _SORTED[order.key, order.descending] if order else _SORTED["date", True]
