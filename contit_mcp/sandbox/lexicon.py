"""The lexicons: which phrases mean which symbols in a language, and the names that a workspace adds to them."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contit_mcp.sandbox.text import Word, fold, is_typo_of, stem, words

if TYPE_CHECKING:
    from contit_mcp.sandbox.content import Workspace
    from contit_mcp.sandbox.query import Endings

FOLDER: Final = Path(__file__).parent / "lexicon"
LANGUAGES: Final = ("en", "it")
"""The languages that are answered; each has a file in the folder."""


@dataclass(frozen=True)
class Symbol:
    """What some words of a prompt mean. A kind "unknown" is a word without a meaning."""

    kind: str
    value: str = ""
    text: str = ""
    at: int = 0
    """The place of the first word."""
    behind: int = 0
    """The place behind the last word."""
    others: tuple[tuple[str, str], ...] = ()
    """What else the words can mean."""
    span: Any = None
    """The period of a symbol of the kind "span"."""

    def can_be(self, kind: str) -> Symbol | None:
        """Return this symbol as one of a kind, if it can be that."""
        for other_kind, value in ((self.kind, self.value), *self.others):
            if other_kind == kind:
                return Symbol(kind, value, self.text, self.at, self.behind, span=self.span)
        return None


@dataclass(frozen=True)
class Lexicon:
    """One language."""

    code: str
    tables: dict[str, Any]
    endings: Endings
    phrases: dict[tuple[str, ...], list[tuple[str, str]]]
    signs: frozenset[str]

    def text(self, key: str, **values: object) -> str:
        """Return a sentence of an answer."""
        return str(self.tables["text"][key]).format(**values)

    def table(self, name: str) -> dict[str, str]:
        """Return one table of the file."""
        table: dict[str, str] = self.tables[name]
        return table

    @property
    def day_first(self) -> bool:
        """Whether 3/4/2026 is in April."""
        return bool(self.tables["day_first"])

    @property
    def decimal(self) -> str:
        """The decimal sign."""
        return str(self.tables["decimal"])


def _endings(tables: dict[str, Any]) -> Endings:
    return tuple(
        tuple((ending, replacement) for ending, _, replacement in (rule.partition(">") for rule in one_pass))
        for one_pass in tables["endings"]
    )


@cache
def lexicon(code: str) -> Lexicon:
    """Read the lexicon of a language."""
    tables = tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))
    endings = _endings(tables)
    phrases: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    sources = dict(tables["symbols"]) | {f"locale:{locale}": names for locale, names in tables["languages"].items()}
    for symbol, listed in sources.items():
        kind, _, value = symbol.partition(":")
        for phrase in listed.replace("','", "").split(","):
            stems = tuple(word.stem for word in words(phrase, endings))
            if stems and (kind, value) not in phrases[stems]:
                phrases[stems].append((kind, value))
    return Lexicon(code, tables, endings, dict(phrases), frozenset(fold(sign) for sign in _split(tables["signs"])))


def _split(listed: str) -> list[str]:
    return [one.strip() for one in listed.split(",")]


def endings_of(locale: str) -> Endings:
    """Return the endings of a locale's language; a language without a lexicon has none."""
    return lexicon(locale).endings if locale in LANGUAGES else ()


@cache
def other_languages() -> dict[str, dict[str, Any]]:
    """Return the languages without a lexicon: their names, and words to recognise them by."""
    tables = tomllib.loads((FOLDER / "others.toml").read_text("utf-8"))
    return {
        code: {**table, "words": frozenset(fold(word) for word in _split(table["words"]))}
        for code, table in tables.items()
    }


@dataclass
class Names:
    """The phrases of a lexicon, and of the values and titles of a workspace."""

    lexicon: Lexicon
    workspace: Workspace
    phrases: dict[tuple[str, ...], list[tuple[str, str]]] = field(init=False)
    vocabulary: dict[str, set[str]] = field(init=False)
    """By the first letter, the stems of all phrases, as targets of typing errors."""
    longest: int = field(init=False)

    def __post_init__(self) -> None:
        """Collect the phrases."""
        own: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
        workspace = self.workspace
        facets = [facet for facet in workspace.facets if facet not in ("locale", "state")]
        for facet in facets:
            for value in workspace.values(facet):
                for name in {value, *workspace.names.get(facet, {}).get(value, {}).values()}:
                    self._add(own, name, facet, value)
        self._add_types(own)
        for value in workspace.values("state"):
            self._add(own, value, "state", value)
        self._add_people(own)
        known = {value for key in self.lexicon.table("fields") for value in [key]}
        for name in [*facets, *workspace.number_fields]:
            if name not in known:
                self._add(own, _spaced(name), "prop", name)
        for item in workspace.items:
            for title in item.titles.values():
                self._add(own, title, "item", item.id)
        self.phrases = {
            key: list(dict.fromkeys([*self.lexicon.phrases.get(key, ()), *own.get(key, ())]))
            for key in {*self.lexicon.phrases, *own}
        }
        self.longest = max(map(len, self.phrases))
        self.vocabulary = defaultdict(set)
        for phrase, meanings in self.phrases.items():
            if any(kind != "item" for kind, _ in meanings):
                for one in phrase:
                    self.vocabulary[one[0]].add(one)

    def _add(self, phrases: dict[tuple[str, ...], list[tuple[str, str]]], name: str, kind: str, value: str) -> None:
        stems = tuple(word.stem for word in words(name, self.lexicon.endings))
        if stems and (kind, value) not in phrases[stems]:
            phrases[stems].append((kind, value))

    def _add_types(self, own: dict[tuple[str, ...], list[tuple[str, str]]]) -> None:
        """Add the types, split at capitals and translated where the lexicon has the noun."""
        for name in self.workspace.values("type"):
            self._add(own, _spaced(name), "type", name)
            for noun in self.lexicon.table("nouns").get(name, "").split("|")[:2] if name in self.lexicon.table("nouns") else ():
                self._add(own, noun, "type", name)

    def _add_people(self, own: dict[tuple[str, ...], list[tuple[str, str]]]) -> None:
        """Add first and last names; one that several authors share means each of them."""
        for author in self.workspace.values("author"):
            for part in {author.split()[0], author.split()[-1]} if " " in author else ():
                self._add(own, part, "author", author)

    def correct(self, found: list[Word]) -> tuple[list[Word], list[tuple[str, str]]]:
        """Return the words with typing errors replaced, where exactly one known word is close; and the replacements."""
        corrected, replaced = [], []
        for word in found:
            known = word.stem in self.vocabulary[word.stem[0]] or word.folded in self.workspace.vocabulary
            close = set() if known else {s for s in self.vocabulary[word.stem[0]] if is_typo_of(word.stem, s)}
            if len(close) == 1:
                meant = close.pop()
                replaced.append((word.raw, meant))
                corrected.append(Word(word.raw, meant, meant))
            else:
                corrected.append(word)
        return corrected, replaced

    def symbols(self, found: list[Word]) -> list[Symbol]:
        """Return the symbols of a prompt's words: at each place the longest phrase."""
        symbols: list[Symbol] = []
        at = 0
        while at < len(found):
            for length in range(min(self.longest, len(found) - at), 0, -1):
                meanings = self.phrases.get(tuple(word.stem for word in found[at : at + length]))
                if meanings:
                    text = " ".join(word.raw for word in found[at : at + length])
                    symbols.append(Symbol(*meanings[0], text, at, at + length, tuple(meanings[1:])))
                    at += length
                    break
            else:
                word = found[at]
                kind = "number" if word.folded[0].isdigit() else "unknown"
                symbols.append(Symbol(kind, _number_text(word.folded), word.raw, at, at + 1))
                at += 1
        return symbols


def _number_text(folded: str) -> str:
    return folded.rstrip("stndrhº°") if folded[0].isdigit() else folded


def _spaced(name: str) -> str:
    """Split a field's or a type's name into words: "prepMinutes" is "prep minutes"."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").replace("-", " ")


__all__ = ["LANGUAGES", "Lexicon", "Names", "Symbol", "endings_of", "lexicon", "other_languages", "stem"]
