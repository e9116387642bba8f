"""Reads a prompt: words become symbols, symbols become conditions, an order, and what is asked of the items found.

Every word must have a part in the result. What has none makes the whole prompt not understood: half a question has
another answer than the question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from contit_mcp.sandbox.dates import read_span
from contit_mcp.sandbox.lexicon import LANGUAGES, Names, Symbol, endings_of, lexicon, other_languages
from contit_mcp.sandbox.query import Choice, Condition, Order, Period, Phrases, Range, TextIndex
from contit_mcp.sandbox.text import MAX_CHARACTERS, Word, fold, words

if TYPE_CHECKING:
    from datetime import date

    from contit_mcp.sandbox.content import Item, Workspace

_QUOTED: Final = re.compile(r"“([^”]*)”|«([^»]*)»|\"([^\"]*)\"|„([^“”]*)[“”]|‘([^’]*)’|(?<!\w)'([^']+)'(?!\w)")
_LONGEST_TOPIC: Final = 6
_MOST_WORDS: Final = 400
_MOST_LISTED: Final = 100
_SMALL_TALK: Final = ("hello", "thanks", "yes", "no", "help", "more", "everything")
_IGNORED: Final = ("skip", "one", "several", "currency", "to", "also", "both", "sort", "and", "intitle", "start")
_PRICE: Final = "price"


class NotUnderstoodError(Exception):
    """The prompt was not understood; `key` names the sentence that says why, `values` fill it."""

    def __init__(self, key: str = "not_understood", **values: str | list[str]) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass
class Reading:
    """What a prompt says."""

    language: str
    small_talk: str = ""
    do: str = ""
    """list, count, open, average, sum, difference; empty where nothing says it."""
    props: list[str] = field(default_factory=list)
    """The properties that are asked for: author, when, price, tag …"""
    each: str = ""
    """The facet to count by."""
    extreme: str = ""
    """">" or "<": the value of a facet with the most or the fewest items."""
    conditions: list[Condition] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    """Fields whose earlier condition no longer holds: "drafts included"."""
    order: Order | None = None
    sorted_only: bool = False
    limit: int | None = None
    skip: int = 0
    nth: int | None = None
    """Which entry of the last list: 1 is the first, -1 the last."""
    items: list[Item] = field(default_factory=list)
    date_field: str = ""
    noun: bool = False
    them: bool = False
    it: bool = False
    also: bool = False
    only: bool = False
    reset: bool = False
    topical: bool = False
    """Whether a word was taken as a part of a title because it stands where the name of an item would."""
    typos: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> Condition | None:
        """Return the condition on a field."""
        return next((one for one in self.conditions if one.field == name), None)

    @property
    def empty(self) -> bool:
        """Whether nothing in the prompt says what is meant."""
        return not (
            self.do in ("count", "average", "sum", "open") or self.props or self.each or self.extreme or self.conditions
            or self.order or self.nth or self.items or self.noun or self.them or self.it or self.limit or self.dropped
        )  # fmt: skip


class Reader:
    """Reads prompts about one workspace."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.workspace = workspace
        self.today = today
        self.index = TextIndex(workspace, endings_of)
        self.by_id = {item.id: item for item in workspace.items}
        self.names = {code: Names(lexicon(code), workspace) for code in LANGUAGES}

    def language(self, prompt: str, before: str) -> str:
        """Return the language of a prompt. Raises NotUnderstoodError for one without a lexicon."""
        told = {word.folded for word in words(prompt, ())}
        scores = {code: len(told & self.names[code].lexicon.signs) for code in LANGUAGES}
        others = {code: len(told & table["words"]) for code, table in other_languages().items()}
        if scores["en"] == scores["it"]:
            known = {
                code: sum(symbol.kind != "unknown" for symbol in self._symbols(prompt, code)[0]) for code in LANGUAGES
            }
            tie = known["en"] == known["it"]
            best = before if tie and before else max(LANGUAGES, key=known.__getitem__)
        else:
            best = max(LANGUAGES, key=scores.__getitem__)
        other = max(others, key=others.__getitem__)
        if others[other] > max(2, scores[best] + 1):
            raise NotUnderstoodError("other_language", language=str(other_languages()[other][best]))
        return best

    def read(self, prompt: str, language: str) -> Reading:
        """Read a prompt. Raises NotUnderstoodError."""
        symbols, found, typos = self._symbols(prompt[:MAX_CHARACTERS], language)
        if len(prompt) > MAX_CHARACTERS or len(found) > _MOST_WORDS:
            raise NotUnderstoodError
        return _Reading(self, language, symbols, found, typos).read()

    def _symbols(self, prompt: str, language: str) -> tuple[list[Symbol], list[Word], list[tuple[str, str]]]:
        """Return the symbols, quoted words as one each, all words, and the typing errors."""
        names = self.names[language]
        symbols: list[Symbol] = []
        found: list[Word] = []
        typos: list[tuple[str, str]] = []
        start = 0
        for match in [*_QUOTED.finditer(prompt), None]:
            some, replaced = names.correct(words(prompt[start : match.start() if match else None], names.lexicon.endings))
            for symbol in names.symbols(some):
                symbols.append(replace(symbol, at=symbol.at + len(found), behind=symbol.behind + len(found)))
            found += some
            typos += replaced
            if match:
                quoted = next(text for text in match.groups() if text is not None)
                own = words(quoted, names.lexicon.endings)
                meanings = [
                    one for one in names.phrases.get(tuple(word.stem for word in own), ()) if one[0] in self.workspace.facets or one[0] == "item"
                ]
                first, *rest = meanings or [("quoted", quoted)]
                symbols.append(Symbol(*first, quoted, len(found), len(found) + 1, (*rest, ("quoted", quoted))))
                found.append(Word(quoted, "“”", "“”"))
                start = match.end()
        return symbols, found, typos


class _Reading:
    """One prompt while it is read."""

    def __init__(
        self, reader: Reader, language: str, symbols: list[Symbol], found: list[Word], typos: list[tuple[str, str]]
    ) -> None:
        self.reader = reader
        self.workspace = reader.workspace
        self.lexicon = reader.names[language].lexicon
        self.words = found
        self.first_words = symbols
        self.symbols = symbols
        self.result = Reading(language, typos=typos)
        self.values: dict[str, list[str]] = {}
        self.raw: dict[str, str] = {}
        self.modes: dict[str, Literal["any", "all", "only"]] = {}
        self.negated: dict[str, bool] = {}
        self.phrases: list[tuple[str, bool]] = []
        self.all_phrases = False
        self.texts_negated = False
        self.in_title = False
        self.last = ""
        """The field of the condition read last."""
        self.connector = ""
        self.minus: Symbol | None = None
        """A negation whose object has not come yet."""
        self.exclusive = False
        self.introduced = ""
        """about, mention, tagged or by, where the word before was one."""
        self.unknown: list[str] = []
        self.one = self.several = False
        self.compared = ""
        self.noun_at: int | None = None
        self.order_at: int | None = None
        self.state_at: int | None = None
        self.extreme_at: int | None = None
        self.prop_at: dict[str, int] = {}
        self.each_at: int | None = None
        self.not_date = False
        self.state_negated = False

    def read(self) -> Reading:
        self._small_talk()
        if self.result.small_talk:
            return self.result
        self._imperative()
        self.symbols = [one for one in self.symbols if one.kind != "skip" or one.can_be("unit") or one.can_be("to") or one.can_be("each")]
        self._partial_titles()
        self._spans()
        at = 0
        while at < len(self.symbols):
            at = self._symbol(at)
        self._finish()
        return self.result

    def _peek(self, at: int, *kinds: str) -> Symbol | None:
        """Return the symbol at a place as one of the kinds, if it can be one."""
        if not 0 <= at < len(self.symbols):
            return None
        return next((one for kind in kinds if (one := self.symbols[at].can_be(kind))), None)

    def _table_words(self, name: str) -> frozenset[str]:
        """Return the words of one of the lexicon's lists."""
        return frozenset(fold(one) for one in str(self.lexicon.tables[name]).split(", "))

    def _small_talk(self) -> None:
        told = [one for one in self.symbols if one.kind != "skip" or any(one.can_be(kind) for kind in _SMALL_TALK)]
        for kind in ("help", "more", "everything", "thanks", "yes", "no", "hello"):
            if told and all(one.can_be(kind) or one.can_be("hello") or one.kind in ("also", "and") for one in told):
                if any(one.can_be(kind) for one in told):
                    self.result.small_talk = kind
                    return
        while self.symbols and self.symbols[0].kind in ("hello", "thanks", "yes"):
            self.symbols = self.symbols[1:]
        while len(self.symbols) > 1 and self.symbols[-1].kind in ("thanks", "hello"):
            self.symbols = self.symbols[:-1]

    def _imperative(self) -> None:
        polite = self._table_words("polite")
        first = next((at for at, word in enumerate(self.words) if word.folded not in polite), len(self.words))
        for one in self.symbols:
            if one.at == first and one.can_be("imperative") and not one.can_be("type"):
                raise NotUnderstoodError("read_only")

    def _partial_titles(self) -> None:
        """Take words as a title where they stand side by side in the title of exactly one item, if one is asked about."""
        asks = any(one.kind == "prop" or one.value in ("open", "difference") or one.kind == "cmp" for one in self.symbols)
        if not asks or any(one.kind in ("item", "quoted", "about", "mention") for one in self.symbols if one.text != "on"):
            return
        for length in range(min(_LONGEST_TOPIC, len(self.words)), 1, -1):
            for at in range(len(self.words) - length + 1):
                behind = at + length
                inside = [one for one in self.symbols if one.at >= at and one.behind <= behind]
                edges = {one.at for one in self.first_words} | {len(self.words)}
                if not any(one.kind in ("unknown", "number") for one in inside) or at not in edges or behind not in edges:
                    continue
                if not any(one.kind == "unknown" or one.kind in self.workspace.facets for one in inside):
                    continue
                text = self._raw(at, behind)
                ids = self.reader.index.find(text, title_only=True, apart=False)
                if len(ids) == 1:
                    item = Symbol("item", next(iter(ids)), text, at, behind)
                    self.symbols = sorted([*(one for one in self.symbols if one not in inside), item], key=lambda one: one.at)
                    return

    def _raw(self, at: int, behind: int) -> str:
        return " ".join(word.raw for word in self.words[at:behind])

    def _spans(self) -> None:
        """Replace the symbols of a period by one symbol."""
        read: list[Symbol] = []
        at = 0
        while at < len(self.symbols):
            span = None
            if not (read and read[-1].kind == "cmp" and self.symbols[at].kind == "number"):
                span = read_span(self.symbols, at, self.reader.today, day_first=self.lexicon.day_first)
            if span:
                first, last = self.symbols[at], self.symbols[span[1] - 1]
                read.append(Symbol("span", "", "", first.at, last.behind, span=span[0]))
                at = span[1]
            else:
                read.append(self.symbols[at])
                at += 1
        self.symbols = read

    def _symbol(self, at: int) -> int:
        """Read the symbol at a place, and return the place of the next."""
        symbol = self.symbols[at]
        if self.introduced in ("about", "mention") and (behind := self._topic_phrase(at)):
            return behind
        for facet in self._facets_of(symbol):
            if (one := symbol.can_be(facet)) and self._is_value(at, one):
                self._value(at, one)
                return at + 1
        handler = getattr(self, f"on_{symbol.kind}", None)
        if handler:
            return int(handler(at, symbol) or at + 1)
        if symbol.kind not in _IGNORED:
            self._unknown(symbol.text)
        return at + 1

    def _facets_of(self, symbol: Symbol) -> list[str]:
        """Return the facets that a symbol can be a value of, the most likely first."""
        first = {"tagged": "tag", "by": "author"}.get(self.introduced, symbol.kind)
        return [name for name in dict.fromkeys([first, symbol.kind, *self.workspace.facets]) if symbol.can_be(name)]

    def _is_value(self, at: int, symbol: Symbol) -> bool:
        if self.symbols[at].kind in ("item", "imperative"):
            return False
        if symbol.kind in ("type", "state", "author", "locale", "tag", "category"):
            return True
        return symbol.kind in self.workspace.facets and self.symbols[at].kind == symbol.kind

    def _topic_phrase(self, at: int) -> int | None:
        """Read what is behind "about": the longest phrase that the content has, if a word of it has no other meaning."""
        if self.symbols[at].kind in ("span", "item") or (self.symbols[at].can_be("tag") and self.introduced == "about"):
            return None
        start = self.symbols[at].at
        quoted = self.symbols[at].can_be("quoted")
        if quoted:
            self._phrase(quoted.value)
            return at + 1
        for behind in range(min(at + _LONGEST_TOPIC, len(self.symbols)), at, -1):
            inside = self.symbols[at:behind]
            text = self._raw(start, inside[-1].behind)
            known = all(one.kind not in ("unknown", "number") for one in inside)
            if any(one.kind in ("span", "item", "quoted", "type") for one in inside) or (known and len(inside) > 1):
                continue
            if known and inside[0].kind not in ("tag", "category", "author", "skip", "state", "do", "noun"):
                continue
            if inside[-1].kind not in ("unknown", "number") and not known:
                continue
            if self.reader.index.find(text, apart=False):
                self._phrase(text)
                return behind
        if self.symbols[at].kind != "unknown":
            if self.symbols[at].kind in ("category", "author") or self.introduced == "mention" and self.symbols[at].kind == "tag":
                self._phrase(self.symbols[at].text)
                return at + 1
            return None
        behind = at
        while behind < len(self.symbols) and self.symbols[behind].kind in ("unknown", "number"):
            behind += 1
        self._phrase(self._raw(start, self.symbols[behind - 1].behind))
        return behind

    def _phrase(self, text: str) -> None:
        if self.phrases and self.last != "text" and self.connector != "and":
            raise NotUnderstoodError
        self.all_phrases = self.all_phrases or bool(self.phrases and self.connector == "and")
        self.phrases.append((text, self.introduced == ""))
        self.texts_negated = self._take_negation("text")
        self.connector, self.last = "", "text"

    def _take_negation(self, name: str) -> bool:
        """Return whether a negation concerns this condition, and note that it has found its object."""
        if self.minus is None:
            return False
        self.minus = None
        self.state_negated = self.state_negated or name == "state"
        return True

    def _value(self, at: int, symbol: Symbol) -> None:
        """Read a value of a facet."""
        name, value = symbol.kind, symbol.value
        self._ambiguous(name, self.symbols[at])
        if name == "locale" and value != "*" and value not in self.workspace.values("locale"):
            spoken = self.lexicon.table("languages")
            known = [spoken.get(code, code).split(",")[0] for code in self.workspace.values("locale")]
            raise NotUnderstoodError("no_locale_in_workspace", locale=spoken[value].split(",")[0], locales=known)
        if name == "type":
            self.result.noun = True
            if self.noun_at is None:
                self.noun_at = at
        if name == "state":
            self.state_at = at
            if value == "Published" and not self.result.date_field:
                self.result.date_field = "published"
        if name == "type" and value == "*":
            if self.minus and self.values.get("type") is None and not self.minus.can_be("only"):
                self.connector = ""
            self.introduced = ""
            return
        given = self.values.setdefault(name, [])
        if value in given:
            self.introduced = ""
            return
        negated = self._take_negation(name) or (bool(given) and self.last == name and self.negated.get(name, False))
        if given:
            if self.last != name or self.connector == "" and name not in ("tag", "locale"):
                if name == "locale" and "*" in given and negated:
                    given[:] = [code for code in self.workspace.values("locale") if code != value]
                    self.modes[name] = "only"
                    self.negated[name] = False
                    return
                if name != "tag" or negated != self.negated.get(name, False):
                    self._second(name, value, negated=negated)
                    return
            if negated != self.negated.get(name, False):
                self._second(name, value, negated=negated)
                return
            self.modes[name] = "any" if self.connector == "or" or name in ("type", "author", "category", "state") else "all"
        else:
            self.modes[name] = "any" if name not in ("tag", "locale") else "all"
            if self.connector == "or":
                raise NotUnderstoodError
        if self.exclusive and name == "locale":
            self.modes[name] = "only"
        given.append(value)
        self.raw[name] = symbol.text
        self.negated[name] = negated
        self.connector, self.last, self.introduced = "", name, ""

    def _second(self, name: str, value: str, *, negated: bool) -> None:
        """Read "in Italian but not in German": a second condition on the same facet, the other way round."""
        if name in ("tag", "locale") and negated != self.negated[name]:
            mode: Literal["any", "all"] = "any" if negated else "all"
            self.result.conditions.append(Choice(f"{name}", (value,), mode, negated))
            self.connector, self.last, self.introduced = "", "", ""
            return
        raise NotUnderstoodError("two_questions")

    def _ambiguous(self, name: str, symbol: Symbol) -> None:
        same = [value for kind, value in ((symbol.kind, symbol.value), *symbol.others) if kind == name]
        if name == "author" and len(same) > 1:
            raise NotUnderstoodError("ambiguous", word=symbol.text, names=same)

    def _unknown(self, text: str) -> None:
        self.unknown.append(text)

    # Each method reads one kind of symbol. It returns the place of the next symbol, or None for the one behind.

    def on_unknown(self, at: int, symbol: Symbol) -> int | None:
        """Take unknown words as a topic only where a topic stands."""
        behind = at
        while behind < len(self.symbols) and self.symbols[behind].kind in ("unknown", "number"):
            if behind > at and self.symbols[behind].at > self.symbols[behind - 1].behind + 2:
                break
            behind += 1
        text = self._raw(symbol.at, self.symbols[behind - 1].behind)
        listed = self.connector and self.last == "text" and self.phrases
        if listed:
            found = self.reader.index.find(text, apart=False)
            if found or not self.phrases[-1][1]:
                self._phrase(text)
                return behind
        before, after = self._peek(at - 1, "type", "category", "noun", "tag"), self._peek(behind, "type", "category", "noun")
        links = self._table_words("links")
        gap = {word.folded for word in self.words[before.behind : symbol.at]} if before else set()
        beside = (after and after.at == self.symbols[behind - 1].behind) or (before and gap <= links)
        if beside and self.introduced == "" and self.reader.index.find(text, apart=False):
            self.result.topical = True
            self._phrase(text)
            return behind
        if not self.introduced and (self.result.props or self.result.do == "open" or self._asks_later(behind)):
            ids = self.reader.index.find(text, title_only=True)
            if ids:
                self.result.topical = True
                self.phrases.append((text, True))
                self.in_title = True
                self.last = "text"
                return behind
        for one in self.symbols[at:behind]:
            self._unknown(one.text)
        return behind

    def _asks_later(self, at: int) -> bool:
        return any(one.kind == "prop" for one in self.symbols[at:])

    def on_quoted(self, at: int, symbol: Symbol) -> None:
        if self.introduced in ("tagged", "by"):
            self._unknown(symbol.text)
            return
        self.introduced = "mention"
        self._phrase(symbol.value)
        self.introduced = ""

    def on_item(self, at: int, symbol: Symbol) -> int | None:
        """Take a title as an item. A title of one word must be quoted, or beside a noun that fits."""
        item = self.reader.by_id[symbol.value]
        alone = symbol.behind - symbol.at == 1 and symbol.can_be("quoted") is None
        beside = [self._peek(at - 1, "type"), self._peek(at + 1, "type")]
        fits = any(one and one.value in (item.type, "*") for one in beside)
        opened = self.result.do == "open" and at in (1, len(self.symbols) - 1)
        if self.introduced in ("about", "mention"):
            self._phrase(symbol.text)
            return None
        if alone and not (fits or opened or len(self.symbols) == 1 or (self.result.props and at == len(self.symbols) - 1)):
            for name in self._facets_of(symbol):
                if one := symbol.can_be(name):
                    self._value(at, one)
                    return None
            return self.on_unknown_one(at, symbol)
        if item not in self.result.items:
            self.result.items.append(item)
        self.last, self.connector = "", ""
        return None

    def on_unknown_one(self, at: int, symbol: Symbol) -> int | None:
        """Read a title's only word as any other word."""
        self.symbols[at] = replace(symbol, kind="unknown", others=())
        return self.on_unknown(at, self.symbols[at])

    def on_do(self, at: int, symbol: Symbol) -> None:
        if symbol.value in ("list", "exists"):
            self.result.do = self.result.do or ("" if symbol.value == "exists" else "list")
            return
        if {self.result.do, symbol.value} == {"count", "average"}:
            self.result.do = "average"
            return
        if self.result.do not in ("", "list", symbol.value):
            raise NotUnderstoodError("two_questions")
        self.result.do = symbol.value

    def on_prop(self, at: int, symbol: Symbol) -> int | None:
        """Read the name of a property: what is asked for, or a word beside a value."""
        name = symbol.value
        value, before = self._peek(at + 1, name), self._peek(at - 1, name)
        if self.introduced == "by" or (self.each_at == at - 1 and self.each_at is not None):
            self.result.each, self.introduced = name, ""
            return None
        if name in self.workspace.facets and (value or (before and self.last == name)):
            self.introduced = {"tag": "tagged"}.get(name, "") if value else ""
            return None
        if name == "tag" and self._peek(at + 1, "unknown", "quoted"):
            self.introduced = "tagged"
            return None
        if name == "title" and self._peek(at + 1, "quoted", "unknown"):
            self.introduced, self.in_title = "mention", True
            return None
        if name not in self.result.props:
            self.result.props.append(name)
            self.prop_at[name] = at
        return None

    def on_each(self, at: int, symbol: Symbol) -> int | None:
        unit = self._peek(at + 1, "unit")
        if unit and unit.value in ("month", "year"):
            self.result.each = unit.value
            return at + 2
        if self._peek(at + 1, "prop"):
            self.each_at = at
        elif not (symbol.can_be("skip") or symbol.can_be("to")):
            self._unknown(symbol.text)
        return None

    def on_noun(self, at: int, symbol: Symbol) -> None:
        self._value(at, replace(symbol, kind="state", value="Draft"))

    def on_anystate(self, at: int, symbol: Symbol) -> None:
        self.result.dropped.add("state")

    def on_nodrafts(self, at: int, symbol: Symbol) -> None:
        self.minus = symbol
        self._value(at, replace(symbol, kind="state", value="Draft"))

    def on_anytype(self, at: int, symbol: Symbol) -> None:
        self.result.dropped.add("type")

    def on_date(self, at: int, symbol: Symbol) -> None:
        self.result.date_field = symbol.value
        if self.minus:
            self.minus, self.not_date = None, True

    def on_order(self, at: int, symbol: Symbol) -> int | None:
        if self._peek(at + 1, "number") and self._peek(at + 2, "currency"):
            raise NotUnderstoodError
        name, descending = symbol.value[:-1], symbol.value.endswith(">")
        if self.result.order and self.result.order.field != name:
            if {self.result.order.field, name} == {"date", "updated"}:
                name = "updated"
            else:
                raise NotUnderstoodError("two_questions")
        if name == _PRICE and _PRICE not in self.workspace.number_fields:
            raise NotUnderstoodError("no_field", field=_PRICE)
        self.result.order = Order(name, descending)
        marks = self._table_words("sort_signs")
        self.result.sorted_only = self.result.sorted_only or bool(marks & {fold(one) for one in symbol.text.split()})
        self.order_at = at
        return None

    def on_max(self, at: int, symbol: Symbol) -> int | None:
        prop = self._peek(at + 1, "prop") or self._peek(at - 1, "prop")
        if not prop or prop.value not in self.workspace.number_fields:
            self._unknown(symbol.text)
            return None
        self.result.order = Order(prop.value, symbol.kind == "max")
        self.order_at = at
        if prop.value in self.result.props:
            self.result.props.remove(prop.value)
        return at + 2 if self._peek(at + 1, "prop") else None

    on_min = on_max

    def on_extreme(self, at: int, symbol: Symbol) -> int | None:
        number = self._peek(at + 1, "number")
        if number and symbol.value == ">" and self._peek(at + 2, "order"):
            return None
        two = any(len(self.values.get(name, ())) > 1 for name in ("author", "tag", "category"))
        if symbol.can_be("greater") or symbol.can_be("lesser"):
            ahead = [one.kind for one in self.symbols[at + 1 :]]
            if "than" in ahead or two:
                self.compared = symbol.value
                return None
        self.result.extreme = symbol.value[0]
        self.extreme_at = -1 if len(symbol.value) > 1 else at
        return None

    def on_greater(self, at: int, symbol: Symbol) -> None:
        self.compared = ">" if symbol.kind == "greater" else "<"

    on_lesser = on_greater

    def on_than(self, at: int, symbol: Symbol) -> None:
        if self.compared:
            self.connector = "and"
            self.last = next((name for name in ("author", "tag", "category", "type") if name in self.values), "")
        elif symbol.can_be("or"):
            self.connector = "or"
        else:
            self._unknown(symbol.text)

    def on_dearer(self, at: int, symbol: Symbol) -> None:
        self.compared = "price"
        if _PRICE not in self.result.props:
            self.result.props.append(_PRICE)

    on_cheaper = on_dearer

    def on_cmp(self, at: int, symbol: Symbol) -> int | None:
        """Read a bound: "under 100 euros", "cheaper than the Garda 3", or a count: "more than ten articles"."""
        behind = at + 1
        while self._peek(behind, "currency") or (self._peek(behind, "prop") and not self._peek(behind, "number")):
            behind += 1
        item, number = self._peek(behind, "item"), self._peek(behind, "number")
        if item and not number:
            amount = self.reader.by_id[item.value].numbers.get(_PRICE)
            if amount is None:
                raise NotUnderstoodError("no_field", field=_PRICE)
            return self._bound(symbol.value, amount, _PRICE, behind + 1)
        if number is None:
            if symbol.value in (">", "<") and self._peek(behind, "author", "type", "tag", "state"):
                self.compared, self.connector = symbol.value, "and"
                self.last = next((name for name in ("author", "tag", "type") if name in self.values), "")
                return None
            self._unknown(symbol.text)
            return None
        if self._peek(behind + 1, "type", "noun") and not self._peek(behind + 1, "currency"):
            self.result.do = "count"
            return behind + 1
        name, behind = self._measured(at, behind + 1)
        return self._bound(symbol.value, self._amount(number), name, behind)

    def _measured(self, at: int, behind: int) -> tuple[str, int]:
        """Return the number field that a number is about, and the place behind its unit."""
        if self._peek(behind, "currency"):
            behind += 1
            name = _PRICE
        elif (prop := self._peek(behind, "prop")) and prop.value in self.workspace.number_fields:
            name, behind = prop.value, behind + 1
        elif self._peek(behind, "unit"):
            raise NotUnderstoodError
        else:
            told = [one for one in self.result.props if one in self.workspace.number_fields]
            told += [one.value for one in self.symbols if one.kind == "prop" and one.value in self.workspace.number_fields]
            name = told[0] if told else _PRICE
            priced = {item.type for item in self.workspace.items if name in item.numbers}
            types = set(self.values.get("type", ()))
            if not told and not ((types and types <= priced) or "category" in self.values):
                raise NotUnderstoodError("unknown_words", words=[self.symbols[behind - 1].text])
        if name not in self.workspace.number_fields:
            raise NotUnderstoodError("no_field", field=name)
        if name in self.result.props:
            self.result.props.remove(name)
        return name, behind

    def _bound(self, sign: str, amount: float, name: str, behind: int) -> int:
        if name in self.result.props:
            self.result.props.remove(name)
        if self.minus:
            self.minus, sign = None, {">": "<=", "<": ">=", ">=": "<", "<=": ">", "=": "!"}[sign]
        if sign == "!" or self.result.get(name):
            raise NotUnderstoodError
        low = amount if sign in (">", ">=", "=") else None
        high = amount if sign in ("<", "<=", "=") else None
        self.result.conditions.append(Range(name, low, high, strict=sign in "<>"))
        if self._peek(behind, "cmp") and self.symbols[behind].value in (">=", "<=") and not self._peek(behind + 1, "number"):
            behind += 1
        return behind

    def _amount(self, number: Symbol) -> float:
        text = number.value
        if not re.fullmatch(r"\d{1,9}(?:[.,]\d{3})*(?:[.,]\d{1,2})?", text):
            raise NotUnderstoodError("unknown_words", words=[number.text])
        thousands = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", text)
        return float(thousands.replace(",", "."))

    def on_when(self, at: int, symbol: Symbol) -> int | None:
        """Read "between 100 and 200 euros" and "from 20 to 50 euros"; a preposition without a period is nothing."""
        first = at + 1 + bool(self._peek(at + 1, "currency"))
        second = first + 2 + bool(self._peek(first + 1, "currency"))
        second += bool(self._peek(second, "currency")) and not self._peek(second, "number")
        one, other = self._peek(first, "number"), self._peek(second, "number")
        if symbol.value in ("between", "from", "since") and one and other:
            name, behind = self._measured(at, second + 1)
            low, high = sorted((self._amount(one), self._amount(other)))
            self.result.conditions.append(Range(name, low, high))
            return behind
        if symbol.value == "between" and (symbol.can_be("several") or self._peek(at + 1, "several", "type", "them", "state")):
            return None
        if symbol.value == "between" and self._peek(at + 1, "item"):
            return None
        if symbol.value in ("from", "since") and self._facets_of(self.symbols[at + 1] if at + 1 < len(self.symbols) else symbol):
            return None
        if symbol.value == "from" or self._peek(at, "order"):
            return None
        self._unknown(symbol.text)
        return None

    def on_span(self, at: int, symbol: Symbol) -> None:
        """Read a period; which date it is about, the verb decides at the end."""
        if any(isinstance(one, Period) for one in self.result.conditions):
            raise NotUnderstoodError("two_questions")
        if self.minus:
            self.minus, self.not_date = None, True
        self.result.conditions.append(Period("date", symbol.span.start, symbol.span.end))
        self.symbols[at] = symbol
        self.span = symbol.span
        self.connector, self.introduced = "", ""

    def on_number(self, at: int, symbol: Symbol) -> int | None:
        if self._peek(at + 1, "currency") or self._peek(at - 1, "currency"):
            behind = at + 1
            after = self._peek(behind + 1, "cmp")
            if after and after.value in (">=", "<="):
                return self._bound(after.value, self._amount(symbol), _PRICE, behind + 2)
            name, behind = self._measured(at, behind) if self._peek(at + 1, "currency") else (_PRICE, at + 1)
            return self._bound("=", self._amount(symbol), name, behind)
        if len([one for one in self.symbols if one.kind not in _IGNORED]) == 1 and symbol.value.isdigit():
            self.result.nth = int(symbol.value)
        elif symbol.value.isdigit() and 0 < int(symbol.value) <= _MOST_LISTED and self.result.limit is None:
            near = [self._peek(at + step, "type", "noun", "order", "category", "state", "tag", "relative") for step in (-1, 1, 2)]
            if not any(near) and not self.result.only and not self._peek(at - 1, "ordinal", "extreme"):
                self._unknown(symbol.text)
            self.result.limit = int(symbol.value)
        else:
            self._unknown(symbol.text)
        return None

    def on_ordinal(self, at: int, symbol: Symbol) -> int | None:
        number = int(symbol.value)
        if order := self._peek(at + 1, "order") or (self._peek(at - 1, "order") if self.order_at == at - 1 else None):
            self.result.skip, self.one = number - 1, True
            self.result.limit = 1
            return None if order.at < symbol.at else at + 1
        noun = self._peek(at + 1, "type", "number", "category", "tag", "state", "noun") or self._peek(at - 1, "state", "category")
        if number == 1 and noun and not self._peek(at + 1, "them"):
            self.result.order = self.result.order or Order("date", descending=False)
            self.order_at, self.first_one = at, True
            if noun.kind != "number" and self._peek(at - 1, "number"):
                self.result.limit = int(self.symbols[at - 1].value)
            return None
        self.result.nth = number
        return None

    def on_nth(self, at: int, symbol: Symbol) -> None:
        self.result.nth = int(symbol.value)

    def on_relative(self, at: int, symbol: Symbol) -> int | None:
        """Read "the last three articles"; a period was read before."""
        if symbol.value not in ("last", "past"):
            self._unknown(symbol.text)
            return None
        noun = [self._peek(at + step, "type", "number", "category", "tag", "state", "noun", "author") for step in (1, 2, -1, -2)]
        if any(noun):
            self.result.order = Order("date")
            self.order_at = at
        else:
            self.result.nth = -1
        return None

    def on_unit(self, at: int, symbol: Symbol) -> None:
        if not symbol.can_be("skip"):
            self._unknown(symbol.text)

    def on_currency(self, at: int, symbol: Symbol) -> None:
        """A sign beside a number; the number reads it."""

    def on_or(self, at: int, symbol: Symbol) -> None:
        self.connector = "or"

    def on_and(self, at: int, symbol: Symbol) -> None:
        if self.connector != "or":
            self.connector = "and"
        self.result.also = self.result.also or at == 0

    def on_also(self, at: int, symbol: Symbol) -> None:
        self.result.also = self.result.also or at <= 1

    def on_both(self, at: int, symbol: Symbol) -> None:
        following = self._peek(at + 1, "author")
        if following:
            raise NotUnderstoodError("two_questions")
        if self.last:
            self.connector = "and"

    def on_one(self, at: int, symbol: Symbol) -> None:
        self.one = True

    def on_several(self, at: int, symbol: Symbol) -> None:
        self.several = True

    def on_everything(self, at: int, symbol: Symbol) -> None:
        self.several = True

    def on_not(self, at: int, symbol: Symbol) -> None:
        if self.minus and self.minus.kind == "only":
            raise NotUnderstoodError
        self.minus = symbol

    on_except = on_not
    on_neither = on_not

    def on_only(self, at: int, symbol: Symbol) -> None:
        self.result.only = True
        self.exclusive = bool(self._peek(at + 1, "locale"))
        if self._peek(at + 1, "tagged", "prop"):
            self.exclusive_tag = True

    def on_about(self, at: int, symbol: Symbol) -> None:
        if symbol.text != "on" or self._peek(at + 1, "tag", "unknown", "quoted", "category"):
            self.introduced = "about"

    def on_mention(self, at: int, symbol: Symbol) -> None:
        self.introduced = "mention"

    def on_intitle(self, at: int, symbol: Symbol) -> None:
        self.in_title = True
        if self._peek(at + 1, "unknown", "quoted"):
            self.introduced = "mention"

    def on_tagged(self, at: int, symbol: Symbol) -> None:
        self.introduced = "tagged"

    def on_by(self, at: int, symbol: Symbol) -> None:
        if self._peek(at + 1, "author", "prop"):
            self.introduced = "by"
        elif symbol.text.lower() not in ("s", "by") or self._peek(at + 1, "unknown"):
            self.introduced = "by" if symbol.text.lower() != "s" else self.introduced

    def on_them(self, at: int, symbol: Symbol) -> None:
        bare = len(symbol.text.split()) == 1
        self.result.them = self.result.them or not (bare and self.noun_at is not None and self.noun_at < at)

    def on_ones(self, at: int, symbol: Symbol) -> None:
        """"Those by Anna": the noun is that of the sentence, or of the one before."""

    def on_it(self, at: int, symbol: Symbol) -> None:
        self.result.it = self.result.it or not (self.noun_at is not None or self.result.items or self.order_at is not None)

    def on_more(self, at: int, symbol: Symbol) -> None:
        if symbol.can_be("greater") and any(one.kind == "than" for one in self.symbols[at:]):
            self.compared = ">"
        elif not symbol.can_be("skip"):
            self._unknown(symbol.text)

    def on_reset(self, at: int, symbol: Symbol) -> None:
        self.result.reset = True

    def on_onwards(self, at: int, symbol: Symbol) -> None:
        if about := symbol.can_be("about"):
            self.on_about(at, about)
        else:
            self._unknown(symbol.text)

    def on_hello(self, at: int, symbol: Symbol) -> None:
        """A greeting within a question."""

    on_thanks = on_hello
    on_yes = on_hello
    span = None
    first_one = False
    exclusive_tag = False

    def _finish(self) -> None:
        """Turn what was collected into conditions, and refuse what does not fit together."""
        result = self.result
        if self.unknown:
            raise NotUnderstoodError("unknown_words", words=list(dict.fromkeys(self.unknown)))
        if self.minus or (self.exclusive_tag and self.values.get("tag") and self.noun_at is not None and not result.also):
            raise NotUnderstoodError
        self._groups()
        self._choices()
        self._texts()
        self._period()
        self._limits()
        if result.empty:
            raise NotUnderstoodError

    def _groups(self) -> None:
        result = self.result
        states = self.values.get("state", [])
        if self.compared and self.compared != "price":
            pairs = [name for name in ("author", "tag", "category", "type", "locale") if len(self.values.get(name, ())) > 1]
            if len(pairs) != 1 and not (len(states) == 2 and not pairs):
                raise NotUnderstoodError
            result.each, result.extreme = (pairs or ["state"])[0], ""
            self.modes[result.each] = "any"
            result.props = []
        elif len(states) > 1:
            raise NotUnderstoodError("two_questions")
        if result.extreme:
            groups = [name for name in result.props if name in self.workspace.facets or name in ("month", "year")]
            before = self.extreme_at is not None and groups and self.prop_at[groups[0]] < self.extreme_at
            if len(groups) != 1 or not (before or self.extreme_at == -1) or result.order:
                raise NotUnderstoodError
            result.each, result.props = groups[0], [name for name in result.props if name != groups[0]]
        if result.each:
            if any(self.negated.values()) or (result.order and not result.sorted_only) or result.nth:
                raise NotUnderstoodError
            if result.each not in self.workspace.facets and result.each not in ("month", "year"):
                raise NotUnderstoodError("no_field", field=result.each)
        asked = [name for name in result.props if name in self.workspace.facets]
        if asked and any(self.negated.values()) and not result.items and result.do != "count":
            raise NotUnderstoodError

    def _choices(self) -> None:
        result = self.result
        for name, values in self.values.items():
            if name == "locale" and "*" in values:
                values[:] = list(self.workspace.values("locale"))
                self.modes[name] = "all"
            negated = self.negated.get(name, False)
            mode = self.modes.get(name, "any")
            if negated and mode == "all":
                mode = "any"
            if name == "state" and negated and set(values) <= {"Published", "Draft"} and len(values) == 1:
                values, negated = ["Draft" if values[0] == "Published" else "Published"], False
            if name == "category" and not negated:
                types = set(self.values.get("type", ()))
                having = {item.type for item in self.workspace.items if name in item.facets}
                if types and not types & having:
                    self.phrases.append((self.raw[name], False))
                    continue
            if result.items and name == "type" and all(item.type in values for item in result.items):
                continue
            result.conditions.append(Choice(name, tuple(values), mode, negated))
        if "state" in result.dropped:
            result.conditions = [one for one in result.conditions if one.field != "state"]

    def _texts(self) -> None:
        if not self.phrases:
            return
        found = {
            text: self.reader.index.find(text, title_only=self.in_title, apart=not guessed or self.in_title)
            for text, guessed in self.phrases
        }
        if self.all_phrases and len(found) > 1:
            joint = frozenset.intersection(*found.values())
            found = dict.fromkeys(found, joint)
        self.result.conditions.append(Phrases(tuple(found), found, self.in_title, self.texts_negated))

    def _period(self) -> None:
        result = self.result
        period = next((one for one in result.conditions if isinstance(one, Period)), None)
        if period is None:
            if self.not_date:
                raise NotUnderstoodError
            return
        result.conditions.remove(period)
        state = result.get("state")
        drafts = isinstance(state, Choice) and "Draft" in state.values and not state.negated
        name = result.date_field or "date"
        if name == "published" and (drafts or "state" in result.dropped):
            name = "date"
        start, end = period.start, period.end
        if self.not_date:
            operator = self.span.operator if self.span else "in"
            if name not in ("updated", "date") or result.date_field != "updated" or operator not in ("in", "since"):
                raise NotUnderstoodError
            if operator == "since":
                start, end = None, self.span.named_end if self.span else None
            elif start and end and end >= self.reader.today:
                start, end = None, start - timedelta(1)
            else:
                raise NotUnderstoodError
        result.conditions.append(Period(name, start, end))

    def _limits(self) -> None:
        """Decide how many a superlative means: one, unless a number or a plural says otherwise."""
        result = self.result
        if self.order_at is None or result.order is None:
            if result.limit is not None and not self.result.order:
                result.order = Order("date")
            return
        singular_copula = self._copula_before_state()
        if singular_copula and not result.sorted_only:
            raise NotUnderstoodError
        if result.sorted_only or result.limit is not None or result.items:
            return
        plain = [fold(word.raw) for word in self.words]
        plural = self.several or (self.result.language == "en" and self._plural_noun())
        singular = self.one and not ({"are", "were"} & set(plain))
        if plural and not singular:
            return
        result.limit = 1

    def _plural_noun(self) -> bool:
        nouns = [one for one in self.first_words if one.can_be("type") or one.can_be("category") or one.kind == "noun"]
        return bool(nouns) and fold(nouns[-1].text.split()[-1]).endswith("s")

    def _copula_before_state(self) -> bool:
        """Return whether the sentence asks if a superlative is in a state: "is the cheapest tent a draft?"."""
        if self.state_at is None or self.order_at is None or self.result.order is None:
            return False
        copulas = self._table_words("copulas")
        state = self.symbols[self.state_at]
        order = self.symbols[self.order_at]
        first = self.words[0].folded if self.words else ""
        between = {word.folded for word in self.words[order.behind : state.at]}
        if first in copulas and first != "e":
            return self.symbols[0].kind != "do"
        return state.value == "Draft" and bool(between & copulas)


__all__ = ["NotUnderstoodError", "Reader", "Reading"]
