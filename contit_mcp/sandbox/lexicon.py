"""The lexicons: which phrases mean which symbols in a language, and the names that a workspace adds to them."""

import re
import tomllib
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from contit_mcp.sandbox.content import Workspace

Endings = tuple[tuple[tuple[str, str], ...], ...]  # passes, each of (ending, replacement)

FOLDER: Final = Path(__file__).parent / "lexicon"
LANGUAGES: Final = ("en", "it")  # those that are answered

_WORD: Final = re.compile(r"\d+(?:[.,/-]\d+)*(?:st|nd|rd|th|°|º)?(?![^\W\d_])|[^\W\d_]+\d*|\d+[^\W_]*|[€$£%&]")
_SHORTEST_STEM: Final = 3
_SHORTEST_TYPO: Final = 5


class Word(NamedTuple):
    """One word of a prompt."""

    raw: str
    folded: str
    stem: str


@dataclass(frozen=True)
class Symbol:
    """What some words of a prompt mean. The kind "unknown" is a word without a meaning."""

    kind: str
    value: str
    text: str
    at: int  # the place of the first word
    stop: int  # the place after the last word
    others: tuple[tuple[str, str], ...] = ()  # other meanings

    def can_be(self, *kinds: str) -> "Symbol | None":
        """Return this symbol as one of some kinds, if it can be one."""
        meanings = ((self.kind, self.value), *self.others)
        return next((replace(self, kind=kind, value=value) for kind, value in meanings if kind in kinds), None)


def fold(word: str) -> str:
    """Return a word in lower case without accents. The Italian verb "è" keeps its accent: "e" means "and"."""
    lower = word.casefold()
    marks = (mark for mark in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(mark))
    return lower if lower == "è" else "".join(marks)


def words(text: str, endings: Endings) -> list[Word]:
    """Split a text into its words. Each pass over the endings replaces the first that fits."""
    found = []
    for match in _WORD.finditer(text):
        folded = stem = fold(match.group())
        for one_pass in endings:
            for ending, replacement in one_pass:
                if stem.endswith(ending) and len(stem) - len(ending) + len(replacement) >= _SHORTEST_STEM:
                    stem = stem.removesuffix(ending) + replacement
                    break
        found.append(Word(match.group(), folded, stem))
    return found


def spaced(name: str) -> str:
    """Split the name of a field or a type into words: "cookingMinutes" is "cooking minutes"."""
    return " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", name).lower().split())


def is_typo_of(written: str, meant: str) -> bool:
    """Return whether one letter after the first was lost, added or doubled, or two were swapped.

    A replaced letter more often makes another word: "books" is not a typing error of "boots".
    """
    longer, shorter = sorted((written, meant), key=len, reverse=True)
    if written[:1] != meant[:1] or len(longer) < _SHORTEST_TYPO:
        return False
    if len(longer) == len(shorter) + 1:
        return any(longer[:at] + longer[at + 1 :] == shorter for at in range(1, len(longer)))
    swapped = (written[:at] + written[at : at + 2][::-1] + written[at + 2 :] for at in range(1, len(written) - 1))
    return written != meant and meant in swapped


@cache
def _tables(code: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))


@cache
def endings_of(locale: str) -> Endings:
    """Return the endings of a locale's language; a language without a lexicon has none."""
    passes = _tables(locale)["endings"] if locale in LANGUAGES else ()
    return tuple(tuple(rule.partition(">")[::2] for rule in one_pass) for one_pass in passes)


@cache
def other_languages() -> dict[str, set[str]]:
    """Return words by which a language without a lexicon is recognised."""
    return {code: {fold(one.strip()) for one in listed.split(",")} for code, listed in _tables("others").items()}


class Lexicon:
    """The phrases and the wording of a language, and the values, fields and titles of a workspace."""

    def __init__(self, code: str, workspace: Workspace, content: frozenset[str]) -> None:
        self.tables = _tables(code)
        self._endings = endings_of(code)
        self._content = content
        self._phrases: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        spoken = {f"locale:{locale}": names for locale, names in self.tables["languages"].items()}
        for symbol, listed in (self.tables["symbols"] | spoken).items():
            kind, _, value = symbol.partition(":")
            if kind != "type" or value in {*workspace.facets["type"], "*"}:
                self._add(listed, kind, value)
        for facet, values in workspace.facets.items():
            for value in values if facet != "locale" else ():
                parts = {value.split()[0], value.split()[-1]} if facet == "author" else set()
                for name in {value, spaced(value), *parts}:
                    self._add_name(name, facet, value)
        self._add_fields(workspace)
        for item in workspace.items:
            for title in item.titles.values():
                self._add_phrase(title, "item", item.id)
        self._longest = max(map(len, self._phrases))
        self._known: dict[str, set[str]] = defaultdict(set)  # stems, by their first letter
        for stems, meanings in self._phrases.items():
            for one in stems if any(kind != "item" for kind, _ in meanings) else ():
                self._known[one[0]].add(one)

    def _add(self, listed: str, kind: str, value: str) -> None:
        for phrase in listed.split(","):
            self._add_phrase(phrase, kind, value)

    def _add_phrase(self, phrase: str, kind: str, value: str) -> None:
        stems = tuple(word.stem for word in words(phrase, self._endings))
        if stems and (kind, value) not in self._phrases.setdefault(stems, []):
            self._phrases[stems].append((kind, value))

    def _add_name(self, name: str, kind: str, value: str) -> None:
        """Let a name mean a symbol, and its translation if there is one."""
        self._add_phrase(name, kind, value)
        self._add(self.tables["names"].get(name.lower(), ""), kind, value)

    def _add_fields(self, workspace: Workspace) -> None:
        """Let the name of a field mean it, and each word of the name that no other field has."""
        fields = {*workspace.facets, *workspace.numbers, *workspace.dates} - {"published", "updated", "created"}
        parts = [(part, name) for name in sorted(fields) for part in {spaced(name), *spaced(name).split()}]
        counts = Counter(part for part, _ in parts)
        for part, name in parts:
            if counts[part] == 1:
                self._add_name(part, "prop", name)

    def listed(self, name: str) -> frozenset[str]:
        """Return the words of one of the lists."""
        return frozenset(fold(one.strip()) for one in self.tables[name].split(","))

    def text(self, key: str, **values: object) -> str:
        """Return a sentence of an answer."""
        return str(self.tables["text"][key]).format(**values)

    def _corrected(self, word: Word) -> Word:
        """Return a known word close to this unknown one, if all close ones mean the same; else the word itself."""
        near = self._known[word.stem[0]]
        known = word.stem in near or word.folded in self._content
        close = [] if known else sorted(stem for stem in near if is_typo_of(word.stem, stem))
        meanings = {self._phrases.get((stem,), [(stem, "")])[0] for stem in close}
        return Word(word.raw, close[-1], close[-1]) if len(meanings) == 1 else word

    def read(self, text: str) -> tuple[list[Symbol], list[Word], list[tuple[str, str]]]:
        """Return the symbols of a text, the longest phrases first, its words, and the corrected typing errors."""
        written = words(text, self._endings)
        found = [self._corrected(word) for word in written]
        typos = [(one.raw, other.stem) for one, other in zip(written, found, strict=True) if one is not other]
        symbols: list[Symbol] = []
        at = 0
        while at < len(found):
            for length in range(min(self._longest, len(found) - at), 0, -1):
                if meanings := self._phrases.get(tuple(word.stem for word in found[at : at + length])):
                    break
            else:
                length, folded = 1, found[at].folded
                number = re.match(r"[\d.,/-]+", folded)
                meanings = [("number", number.group())] if number else [("unknown", folded)]
            if at and found[at].raw[:1].isupper():  # "Anna" is an author, though its stem is that of "anno"
                meanings = [meaning for meaning in meanings if meaning[0] == "author"] or meanings
            text = " ".join(word.raw for word in found[at : at + length])
            symbols.append(Symbol(*meanings[0], text, at, at + length, tuple(meanings[1:])))
            at += length
        return symbols, found, typos
