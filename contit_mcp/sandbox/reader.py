"""Reads a prompt: words become symbols, symbols become conditions, an order, and what is asked of the items found.

Every word must have a part in the result. One word without a part makes the whole prompt not understood: half a
question has another answer than the question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.dates import DateReader, Span
from contit_mcp.sandbox.lexicon import LANGUAGES, Names, Symbol, Word, lexicon, other_languages, words
from contit_mcp.sandbox.query import TIMES, Condition, Order, TextIndex

_QUOTED: Final = re.compile(r"“([^”]*)”|«([^»]*)»|\"([^\"]*)\"|„([^“”]*)[“”]|‘([^’]*)’|(?<!\w)'([^']+)'(?!\w)")
_LONGEST_TOPIC: Final = 6
_MOST_CHARACTERS: Final = 32_000
_MOST_WORDS: Final = 400
_MOST_LISTED: Final = 100
_SMALL_TALK: Final = ("help", "more", "everything", "thanks", "yes", "no", "hello")
_NOUNS: Final = ("type", "category", "noun", "tag", "state", "author")
_FLAGS: Final = frozenset({"one", "several", "also", "reset", "it", "them", "ones", "anystate", "anytype", "sort"})
"""Kinds of symbols of which only the presence counts."""


class NotUnderstoodError(Exception):
    """The prompt was not understood; `key` names the sentence that says why, `values` fill it."""

    def __init__(self, key: str = "not_understood", **values: str | list[str]) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass
class _Values:
    """The values of a facet that were read side by side."""

    field: str
    values: list[str]
    mode: Literal["any", "all", "only"]
    negated: bool
    raw: str


class Reader:
    """Reads prompts about one workspace."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.workspace = workspace
        self.today = today
        self.index = TextIndex(workspace)
        self.by_id = {item.id: item for item in workspace.items}
        self.names = {code: Names(lexicon(code), workspace, self.index.vocabulary) for code in LANGUAGES}

    def language(self, prompt: str, before: str) -> str:
        """Return the language of a prompt. Raises NotUnderstoodError for one without a lexicon."""
        told = {word.folded for word in words(prompt[:_MOST_CHARACTERS], ())}
        scores = {code: len(told & lexicon(code).listed("signs")) for code in LANGUAGES}
        others = {code: len(told & signs) for code, signs in other_languages().items()}
        if scores["en"] == scores["it"]:
            scores = dict.fromkeys(scores, 0) | {
                code: sum(one.kind != "unknown" for one in self.symbols(prompt, code)[0]) for code in LANGUAGES
            }
        best = max(LANGUAGES, key=lambda code: (scores[code], code == before))
        other = max(others, key=others.__getitem__)
        if others[other] > max(2, scores[best] + 1):
            raise NotUnderstoodError("other_language", language=other)
        return best

    def symbols(self, prompt: str, language: str) -> tuple[list[Symbol], list[Word], list[tuple[str, str]]]:
        """Return the symbols, quoted words as one each, all words, and the corrected typing errors."""
        names = self.names[language]
        symbols: list[Symbol] = []
        found: list[Word] = []
        typos: list[tuple[str, str]] = []
        start = 0
        for match in [*_QUOTED.finditer(prompt), None]:
            plain = words(prompt[start : match.start() if match else None], names.lexicon.endings)
            some, replaced = names.corrected(plain)
            moved = len(found)
            symbols += [replace(one, at=one.at + moved, behind=one.behind + moved) for one in names.symbols(some)]
            found += some
            typos += replaced
            if match:
                start = match.end()
                text = next(text for text in match.groups() if text is not None)
                stems = tuple(word.stem for word in words(text, names.lexicon.endings))
                own = [one for one in names.phrases.get(stems, ()) if one[0] in (*self.workspace.facets, "item")]
                first, *rest = [*own, ("quoted", text)]
                symbols.append(Symbol(*first, text, len(found), len(found) + 1, tuple(rest)))
                found.append(Word(text, "“”", "“”"))
        return symbols, found, typos


class Reading:
    """What one prompt says. Raises NotUnderstoodError while it is made."""

    def __init__(self, reader: Reader, prompt: str, language: str) -> None:
        self.reader, self.language = reader, language
        self.workspace, self.lexicon = reader.workspace, reader.names[language].lexicon
        self.small_talk = ""
        self.do = ""
        """list, count, open, average, sum, difference; empty where nothing says it."""
        self.props: list[str] = []
        """The properties that are asked for: author, when, price, tag …"""
        self.each = ""
        """The facet to count by."""
        self.extreme = ""
        """">" or "<": the value of a facet with the most or the fewest items."""
        self.conditions: list[Condition] = []
        self.order: Order | None = None
        self.sorted_only = False
        self.limit: int | None = None
        self.skip = 0
        self.nth: int | None = None
        """Which entry of the last list: 1 is the first, -1 the last."""
        self.items: list[Item] = []
        self.date_field = ""
        self.said: set[str] = set()
        """The kinds of symbols that only have to be there: them, it, also, only, reset …"""
        self.topical = False
        """Whether a word was taken as a part of a title because it stands where the name of an item would."""
        self._groups: list[_Values] = []
        self._phrases: list[str] = []
        self._phrase_mode = "or"
        self._phrase_negated = self._in_title = self._guessed = False
        self._last = self._connector = self._introduced = ""
        self._compared = False
        self._minus: Symbol | None = None
        """A negation whose object has not come yet."""
        self._span: Span | None = None
        self._span_negated = self._state_negated = False
        self._unknown: list[str] = []
        self._places: dict[str, int] = {}
        """Where the first symbol of a kind was read."""
        self.symbols, self.words, self.typos = reader.symbols(prompt[:_MOST_CHARACTERS], language)
        if len(prompt) > _MOST_CHARACTERS or len(self.words) > _MOST_WORDS:
            raise NotUnderstoodError
        self._read()

    @property
    def noun(self) -> bool:
        """Whether the prompt names what it is about, so that it can stand alone."""
        return "type" in self._places

    @property
    def noun_text(self) -> str:
        """The noun as it was written."""
        return self.symbols[self._places["type"]].text.lower() if self.noun else ""

    def get(self, name: str) -> Condition | None:
        """Return the condition on a field."""
        return next((one for one in self.conditions if one.field == name), None)

    def _read(self) -> None:
        told = [one for one in self.symbols if one.kind not in ("skip", "also", "and") or one.can_be(*_SMALL_TALK)]
        talk = next((kind for kind in _SMALL_TALK if any(one.can_be(kind) for one in told)), "")
        if talk and all(one.can_be(talk, "hello") for one in told):
            self.small_talk = talk
            return
        polite = self.lexicon.listed("polite")
        first = next((at for at, word in enumerate(self.words) if word.folded not in polite), 0)
        if any(one.at == first and one.can_be("imperative") and not one.can_be("type") for one in self.symbols):
            raise NotUnderstoodError("read_only")
        self.symbols = [one for one in self.symbols if one.kind != "skip" or one.can_be("unit", "to", "each")]
        self._partial_title()
        self._dates_of = dates = DateReader(self.symbols, self.reader.today, day_first=self.lexicon.tables["day_first"])
        at = 0
        while at < len(self.symbols):
            number = self._peek(at, "number")
            bound = number and (self._peek(at - 1, "cmp", "currency") or self._peek(at + 1, "currency"))
            read = None if bound else dates.span(at)
            if read and not self._peek(read[1], "currency"):
                self._period(read[0])
                at = read[1]
            else:
                at = self._symbol(at)
        self._finish()

    def _peek(self, at: int, *kinds: str) -> Symbol | None:
        """Return the symbol at a place as one of some kinds, if it can be one."""
        return self.symbols[at].can_be(*kinds) if 0 <= at < len(self.symbols) else None

    def _raw(self, at: int, behind: int) -> str:
        """Return the words of some symbols as written."""
        return " ".join(word.raw for word in self.words[self.symbols[at].at : self.symbols[behind - 1].behind])

    def _partial_title(self) -> None:
        """Take words as an item where they stand side by side in its title alone, if a property is asked for."""
        asks = any(one.kind in ("prop", "cmp") or one.value in ("open", "difference") for one in self.symbols)
        if not asks or any(one.kind in ("quoted", "mention", "about") for one in self.symbols):
            return
        for length in range(min(_LONGEST_TOPIC, len(self.symbols)), 1, -1):
            for at in range(len(self.symbols) - length + 1):
                inside = self.symbols[at : at + length]
                named = any(one.kind == "unknown" or one.kind in self.workspace.facets for one in inside)
                known = not any(one.kind in ("unknown", "number") for one in inside)
                if not named or known or any(one.kind == "item" for one in inside):
                    continue
                text = self._raw(at, at + length)
                ids = self.reader.index.find(text, title_only=True, apart=False)
                if len(ids) == 1:
                    item = Symbol("item", min(ids), text, inside[0].at, inside[-1].behind, (("quoted", text),))
                    self.symbols[at : at + length] = [item]
                    self._partial_title()
                    return

    def _symbol(self, at: int) -> int:
        """Read the symbol at a place, and return the place of the next."""
        symbol = self.symbols[at]
        if self._introduced in ("about", "mention") and (behind := self._topic(at)):
            return behind
        likely = {"tagged": "tag", "by": "author"}.get(self._introduced, symbol.kind)
        if symbol.kind not in ("item", "imperative", "prop"):
            for facet in (likely, symbol.kind, "type", "state", "author", "locale", "tag", "category"):
                if facet in self.workspace.facets and (one := symbol.can_be(facet)):
                    self._value(at, one)
                    return at + 1
        self._places.setdefault(symbol.kind, at)
        if symbol.kind in _FLAGS:
            self._flag(at, symbol)
            return at + 1
        handler = getattr(self, f"_on_{symbol.kind}", self._word)
        return int(handler(at, symbol) or at + 1)

    def _word(self, at: int, symbol: Symbol) -> None:
        """Read a small word."""
        match symbol.kind:
            case "not" | "except" | "neither":
                self._minus = symbol
            case "and" | "or":
                self._connector = self._connector or symbol.kind
                self.said |= {"also"} if at == 0 else set()
            case "mention" | "tagged":
                self._introduced = symbol.kind
            case "intitle":
                self._in_title = True
                self._introduced = "mention" if self._peek(at + 1, "unknown", "quoted") else ""
            case "only" if self._minus:
                raise NotUnderstoodError  # "not only articles"
            case "only":
                self.said |= {"only", "exclusive"} if self._peek(at + 1, "locale") else {"only"}
                if self._peek(at - 1, "locale") and self._last == "locale":
                    self._groups[-1].mode = "only"  # "in English only"
                if self._introduced == "tagged" or (self.noun and self._peek(at + 1, "tagged", "prop")):
                    self._unknown.append(symbol.text)  # no tag but this one
            case "both" if not self._peek(at + 1, "author"):
                self._connector = "and" if self._last else ""
            case "nth":
                self.nth = int(symbol.value)
            case "date":
                behind = at + 1 + bool(self._peek(at + 1, "when"))
                if self._peek(at - 1, "author") or self._peek(behind, "author"):
                    raise NotUnderstoodError  # who changed an item is not known, only who wrote it
                self.date_field, self._span_negated = symbol.value, self._negates()
            case "noun" | "nodrafts":
                self._minus = symbol if symbol.kind == "nodrafts" else self._minus
                self._value(at, replace(symbol, kind="state", value="Draft", others=()))
            case "more" | "greater" | "lesser" if any(one.kind in ("than", "or") for one in self.symbols[at:]):
                self._compared = True
            case "than" if self._compared or symbol.can_be("or"):
                self._connector = "and" if self._compared else "or"
                self._last = next((one.field for one in self._groups if one.field != "state"), "")
            case "dearer" | "cheaper":
                self.props = list(dict.fromkeys([*self.props, "price"]))
            case "currency" | "to" | "start" | "hello" | "thanks" | "yes" | "everything" | "skip":
                pass
            case _ if not symbol.can_be("skip"):
                self._unknown.append(symbol.text)

    def _flag(self, at: int, symbol: Symbol) -> None:
        kind, before = symbol.kind, self._peek(at - 1, "do")
        if kind == "anystate" and before and before.value == "exists":
            self._word(at, replace(symbol, kind="noun"))  # "are there drafts too?"
            return
        named = self.noun or bool(self.items) or self.order is not None
        bare = kind == "them" and len(symbol.text.split()) == 1
        if (kind == "it" and named) or (bare and (self.noun or self._peek(at + 1, "by", "author", "tagged", "when"))):
            return  # "the cheapest tent and what it costs", "those by Anna": the pronoun has its noun beside it
        if kind != "also" or at <= 1:
            self.said.add(kind)

    def _negates(self) -> bool:
        """Return whether a negation concerns the condition that is being read, and end it."""
        negated, self._minus = self._minus is not None, None
        return negated

    # Conditions

    def _value(self, at: int, symbol: Symbol) -> None:
        """Read a value of a facet."""
        name, value = symbol.kind, symbol.value
        self._places.setdefault(name, at)
        if name == "state" and {word.folded for word in words(symbol.text, ())} & self.lexicon.listed("negations"):
            self._state_negated = True
        self._introduced = ""
        same = [other for kind, other in ((symbol.kind, value), *symbol.others) if kind == name]
        if name == "author" and len(set(same)) > 1:
            raise NotUnderstoodError("ambiguous", word=symbol.text, names=sorted(set(same)))
        codes = list(self.workspace.facets["locale"])
        if name == "locale" and value not in (*codes, "*"):
            raise NotUnderstoodError("no_locale_in_workspace", locale=value, locales=codes)
        if name == "state" and value == "Published":
            self.date_field = self.date_field or "published"
        groups = [one for one in self._groups if one.field == name]
        if (name == "type" and value == "*") or (not self._minus and any(value in one.values for one in groups)):
            return
        negated = self._negates() or bool(groups and self._last == name and groups[-1].negated)
        connector, self._connector = self._connector or ("and" if self._peek(at - 1, name) else ""), ""
        last, self._last = self._last, name
        values = codes if (name, value) == ("locale", "*") else [value]
        if not groups or (name in ("tag", "locale") and (groups[-1].negated != negated or not connector)):
            if connector == "or" and not groups:
                raise NotUnderstoodError("two_questions")
            if groups and negated and value in codes and groups[-1].values == codes:
                groups[-1].values, groups[-1].mode = [code for code in codes if code != value], "only"
                return
            only = name == "locale" and "exclusive" in self.said
            mode: Literal["any", "all", "only"] = "only" if only else "all" if name in ("tag", "locale") else "any"
            self._groups.append(_Values(name, values, mode, negated, symbol.text))
        elif last == name and groups[-1].negated == negated and (connector or name == "type"):
            groups[-1].values.append(value)
            groups[-1].mode = "any" if connector == "or" or name not in ("tag", "locale") else groups[-1].mode
        else:
            raise NotUnderstoodError("two_questions")

    def _topic(self, at: int) -> int | None:
        """Read what is behind "about": a quotation, or the longest phrase of the content that ends in a new word."""
        symbol = self.symbols[at]
        if quoted := symbol.can_be("quoted"):
            return self._phrase(quoted.value, at + 1)
        if symbol.can_be("tag") and self._introduced == "about":
            return None
        for behind in range(min(at + _LONGEST_TOPIC, len(self.symbols)), at, -1):
            inside = self.symbols[at:behind]
            whole = inside[-1].kind in ("unknown", "number") and not any(
                one.can_be("item", "quoted", "type") for one in inside
            )
            if whole and self.reader.index.find(self._raw(at, behind), apart=False):
                return self._phrase(self._raw(at, behind), behind)
        behind = at
        while self._peek(behind, "unknown") or (behind > at and self._peek(behind, "number")):
            behind += 1
        known = symbol.can_be("category", "author", "tag", "noun", "do")
        return self._phrase(self._raw(at, max(behind, at + 1)), max(behind, at + 1)) if behind > at or known else None

    def _phrase(self, text: str, behind: int, *, guessed: bool = False) -> int:
        """Add a phrase that the items have to contain."""
        if self._phrases and (self._last != "text" or not self._connector):
            raise NotUnderstoodError("two_questions")
        self._phrase_mode = self._connector if self._phrases else "or"
        self._phrase_negated = self._negates() or (self._phrase_negated and bool(self._phrases))
        self._phrases.append(text)
        self._guessed = guessed
        self._connector, self._last, self._introduced = "", "text", ""
        return behind

    def _on_unknown(self, at: int, symbol: Symbol) -> int:
        """Take words without a meaning as a topic only where a topic stands, and only if the content has them."""
        behind = at + 1
        while (
            self._peek(behind, "unknown", "number") and self.symbols[behind].at <= self.symbols[behind - 1].behind + 1
        ):
            behind += 1
        text = self._raw(at, behind)
        dated = behind < len(self.symbols) and self._dates_of.span(behind)  # "early March"
        found = not dated and self._introduced in ("", "on") and self.reader.index.find(text, apart=False)
        before, after = self._peek(at - 1, *_NOUNS), self._peek(behind, *_NOUNS)
        gap = {word.folded for word in self.words[before.behind : symbol.at]} if before else {""}
        beside = (after and after.at == self.symbols[behind - 1].behind) or gap <= self.lexicon.listed("links")
        if found and (
            beside or self._introduced == "on" or (self._phrases and self._last == "text" and self._connector)
        ):
            self.topical = True
            return self._phrase(text, behind, guessed=True)
        asks = self.props or self.do == "open" or any(one.kind == "prop" for one in self.symbols[behind:])
        if asks and not self._introduced and not self._phrases and self.reader.index.find(text, title_only=True):
            self.topical = self._in_title = True
            return self._phrase(text, behind)
        self._unknown += [one.text for one in self.symbols[at:behind]]
        return behind

    def _on_quoted(self, at: int, symbol: Symbol) -> int:
        if self._introduced in ("tagged", "by"):
            self._unknown.append(symbol.text)
        return self._phrase(symbol.value, at + 1)

    def _on_item(self, at: int, symbol: Symbol) -> int | None:
        """Take a title as an item. A title of one word must be quoted, beside a noun that fits, or the last word."""
        item = self.reader.by_id[symbol.value]
        kinds = [one.value for step in (-1, 1) if (one := self._peek(at + step, "type"))]
        asked = (self.props or self.do == "open") and at == len(self.symbols) - 1
        certain = symbol.behind - symbol.at > 1 or symbol.can_be("quoted") or asked or len(self.symbols) == 1
        if not certain and not {item.type, "*"} & set(kinds):
            others = tuple(one for one in symbol.others if one[0] != "item") or (("unknown", symbol.text),)
            self.symbols[at] = replace(symbol, kind=others[0][0], value=others[0][1], others=others[1:])
            return self._symbol(at)
        if item not in self.items:
            self.items.append(item)
        self._last = self._connector = ""
        return None

    def _period(self, span: Span) -> None:
        if self._span:
            raise NotUnderstoodError("two_questions")
        self._span, self._span_negated = span, self._span_negated or self._negates()
        self._connector = self._introduced = ""

    # Numbers

    def _on_cmp(self, at: int, symbol: Symbol) -> int | None:
        """Read a bound: "under 100 euros", "cheaper than the Garda 3", or a count: "more than ten articles"."""
        behind = at + 1
        while self._peek(behind, "currency") or (self._peek(behind, "prop") and not self._peek(behind, "number")):
            behind += 1
        if number := self._peek(behind, "number"):
            if self._peek(behind + 1, "type", "noun"):
                self.do = "count"
                return behind + 1
            return self._bound(symbol.value, number, behind + 1)
        if item := self._peek(behind, "item"):
            price = self.reader.by_id[item.value].numbers.get("price")
            if price is not None:
                return self._bound(symbol.value, replace(item, value=str(price)), behind + 1, "price")
        self._compared = symbol.value in ("<", ">") and self._peek(behind, "author", "type", "tag") is not None
        self._word(at, replace(symbol, kind="than", others=()))
        return None

    def _bound(self, sign: str, number: Symbol, behind: int, name: str = "", high: Symbol | None = None) -> int:
        """Add a condition on the number field that a number is about."""
        fields = self.workspace.numbers
        told = [one.value for one in self.symbols if one.kind == "prop" and one.value in fields]
        unit = self._peek(behind, "currency", "prop")
        types = {value for one in self._groups if one.field == "type" for value in one.values}
        priced = {item.type for item in self.workspace.items if "price" in item.numbers}
        if unit and (unit.kind == "currency" or unit.value in fields):
            name, behind = "price" if unit.kind == "currency" else unit.value, behind + 1
        elif not name and (told or types <= priced):
            name = told[0] if told else "price"
        after = self._peek(behind, "cmp")
        if after and after.value in (">=", "<=") and not self._peek(behind + 1, "number"):
            sign, behind = after.value, behind + 1
        if name not in fields or self._minus or self.get(name) or self._peek(behind, "unit"):
            raise NotUnderstoodError("unknown_words", words=[number.text])
        self.props = [one for one in self.props if one != name]
        low, top = self._amount(number), self._amount(high or number)
        bounds = {"low": low if sign[0] in ">=" else None, "high": top if sign[0] in "<=" else None}
        self.conditions.append(Condition(name, mode="range", **bounds, strict=sign in (">", "<")))  # type: ignore[arg-type]
        return behind

    def _amount(self, number: Symbol) -> float:
        if not re.fullmatch(r"\d{1,9}(?:[.,]\d{3})*(?:[.,]\d{1,2})?", number.value):
            raise NotUnderstoodError("unknown_words", words=[number.text])
        return float(re.sub(r"[.,](?=\d{3}(?:\D|$))", "", number.value).replace(",", "."))

    def _on_when(self, at: int, symbol: Symbol) -> int | None:
        """Read "between 100 and 200 euros". A preposition of time without a period may be one of another kind."""
        numbers = [place for place in range(at + 1, min(at + 6, len(self.symbols))) if self._peek(place, "number")][:2]
        between = [
            self._peek(place, "and", "to", "currency", "number") for place in range(at + 1, (numbers or [0])[-1])
        ]
        if symbol.value in ("between", "from", "since") and len(numbers) > 1 and all(between):
            low, high = sorted((self.symbols[place] for place in numbers), key=self._amount)
            return self._bound("=", low, numbers[1] + 1, high=high)
        listed = symbol.value == "between" and (
            symbol.can_be("several") or self._peek(at + 1, "several", "them", "item")
        )
        if not listed and symbol.value != "from" and not self._peek(at + 1, *_NOUNS):
            self._unknown.append(symbol.text)
        return None

    def _on_number(self, at: int, symbol: Symbol) -> int | None:
        prop = self._peek(at + 1, "prop")
        if (
            self._peek(at + 1, "currency")
            or self._peek(at - 1, "currency")
            or (prop and prop.value in self.workspace.numbers)
        ):
            name = "price" if self._peek(at - 1, "currency") else ""
            return self._bound("=", symbol, at + 1, name)
        whole = symbol.value.isdigit() and 0 < int(symbol.value) <= _MOST_LISTED
        if whole and len(self.symbols) == 1:
            self.nth = int(symbol.value)
            return None
        near = self._peek(at + 1, "order", *_NOUNS) or self._peek(
            at - 1, "order", "relative", "ordinal", "extreme", "only"
        )
        if not whole or self.limit or not near:
            self._unknown.append(symbol.text)
        self.limit = int(symbol.value) if whole else None
        return None

    def _on_ordinal(self, at: int, symbol: Symbol) -> int | None:
        """Read "the second cheapest", "the first two articles", or the place in the last list."""
        number = int(symbol.value)
        if self._peek(at - 1, "order") or self._peek(at + 1, "order") or self._peek(at + 2, "order"):
            self.skip, self.limit = number - 1, 1
        elif number == 1 and (self._peek(at + 1, "number", *_NOUNS) or self._peek(at - 1, "state", "category")):
            self._on_order(at, replace(symbol, value="date<", text=""))
        else:
            self.nth = number
        return None

    def _on_relative(self, at: int, symbol: Symbol) -> None:
        """Read "the last three articles", or the last of the list."""
        if symbol.can_be("them"):
            self.said.add("them")
        elif symbol.value not in ("last", "past"):
            self._unknown.append(symbol.text)
        elif any(self._peek(at + step, "number", *_NOUNS) for step in (1, 2, -1, -2)):
            self._on_order(at, replace(symbol, value="date>", text=""))
        else:
            self.nth = -1

    # Orders and what is asked for

    def _on_order(self, at: int, symbol: Symbol) -> None:
        name, descending = symbol.value[:-1], symbol.value.endswith(">")
        if self.order and {self.order.field, name} == {"date", "updated"}:
            name = "updated"
        elif (self.order and self.order.field != name) or (
            self._peek(at + 1, "number") and self._peek(at + 2, "currency")
        ):
            raise NotUnderstoodError("two_questions")
        if name == "price" and name not in self.workspace.numbers:
            raise NotUnderstoodError("no_field", field=name)
        self.order = Order(name, descending)
        self._places["order"] = at
        words_of_sorting = {word.folded for word in words(symbol.text, ())} & self.lexicon.listed("sort_signs")
        self.sorted_only = self.sorted_only or bool(words_of_sorting)

    def _on_max(self, at: int, symbol: Symbol) -> int:
        """Read "the highest price", "the longest cooking time": a superlative of a number field."""
        place = next((at + step for step in (1, -1, 2) if self._peek(at + step, "prop")), None)
        prop = self._peek(place, "prop") if place is not None else None
        if not prop or prop.value not in self.workspace.numbers:
            self._unknown.append(symbol.text)
            return at + 1
        self._on_order(at, replace(symbol, value=prop.value + symbol.value, text=""))
        self.props = [one for one in self.props if one != prop.value]
        return max(at, place or 0) + 1

    def _on_extreme(self, at: int, symbol: Symbol) -> None:
        if symbol.can_be("greater", "lesser") and any(one.kind in ("than", "or") for one in self.symbols[at:]):
            self._compared = True
        elif not (self._peek(at + 1, "number") and self._peek(at + 2, "order")):
            self.extreme = symbol.value[0]
            self._places["extreme"] = -1 if len(symbol.value) > 1 else at

    def _on_do(self, at: int, symbol: Symbol) -> None:
        if {self.do, symbol.value} == {"count", "average"}:
            self.do = "average"
        elif symbol.value in ("list", "exists", "search"):
            self.do = self.do or ("" if symbol.value == "exists" else "list")
            if symbol.value == "search" and self._peek(at + 1, "unknown", "quoted"):
                self._introduced = "mention"
        elif self.do not in ("", "list", symbol.value):
            raise NotUnderstoodError("two_questions")
        else:
            self.do = symbol.value

    def _on_prop(self, at: int, symbol: Symbol) -> int | None:
        """Read the name of a property: what is asked for, what to count by, or a word beside a value."""
        name, following = symbol.value, self._peek(at + 1, "unknown", "quoted")
        if self._introduced in ("by", "each"):
            self.each, self._introduced = name, ""
        elif name in self.workspace.facets and self._peek(at + 1, name):
            self._introduced = "tagged" if name == "tag" else ""
        elif name == "tag" and following:
            self._introduced = "tagged"
        elif name == "title" and following:
            self._introduced, self._in_title = "mention", True
        elif (
            not (name in self.workspace.facets and self._last == name and self._peek(at - 1, name))
            and name not in self.props
        ):
            self.props.append(name)
            self._places[f"prop {name}"] = at
        return None

    def _on_each(self, at: int, symbol: Symbol) -> int | None:
        unit = self._peek(at + 1, "unit")
        if unit and unit.value in TIMES:
            self.each = unit.value
            return at + 2
        if self._peek(at + 1, "prop"):
            self._introduced = "each"
        elif not symbol.can_be("skip", "to"):
            self._unknown.append(symbol.text)
        return None

    def _on_about(self, at: int, symbol: Symbol) -> None:
        vague = symbol.can_be("onwards")  # "on" introduces many things
        if not vague or self._peek(at + 1, "tag", "quoted", "category"):
            self._introduced = "about"
        elif self._peek(at - 1, "type"):
            self._introduced = "on"

    _on_onwards = _on_about

    def _on_by(self, at: int, symbol: Symbol) -> None:
        if self._peek(at - 1, "date"):
            raise NotUnderstoodError  # "updated by Anna": only the author is known
        possessive = symbol.text.lower() == "s" and not self._peek(at + 1, "author")
        self._introduced = self._introduced if possessive else "by"

    # The whole

    def _finish(self) -> None:
        """Turn the values into conditions, and refuse what does not fit together."""
        if "price" in self.props and "reset" in self.said and not self.do:
            self.do = "sum"
        if self._unknown:
            raise NotUnderstoodError("unknown_words", words=list(dict.fromkeys(self._unknown)))
        if self._minus or self._introduced == "by":
            raise NotUnderstoodError
        self._counting()
        for group in self._groups:
            self._choice(group)
        if self._phrases:
            found = [
                self.reader.index.find(text, title_only=self._in_title, apart=self._in_title or not self._guessed)
                for text in self._phrases
            ]
            join = frozenset.intersection if self._phrase_mode == "and" else frozenset.union
            name = "title" if self._in_title else "text"
            phrases = tuple(self._phrases)
            self.conditions.append(Condition(name, phrases, "text", negated=self._phrase_negated, ids=join(*found)))
        self._dates()
        self._limits()
        named = self.conditions or self.items or self.props or self.order or self.nth or self.each or self.limit
        said = self.said & {"them", "it", "anystate", "anytype"}
        if not (named or said or self.noun or self.do):
            raise NotUnderstoodError

    def _counting(self) -> None:
        """Decide which facet to count by."""
        negated = any(one.negated for one in self._groups)
        pairs = [one.field for one in self._groups if len(one.values) > 1]
        if self._compared:
            if len(pairs) != 1:
                raise NotUnderstoodError("two_questions")
            self.each, self.extreme, self.props = pairs[0], "", []
            next(one for one in self._groups if one.field == pairs[0]).mode = "any"
        elif "state" in pairs:
            raise NotUnderstoodError("two_questions")
        facets = [name for name in self.props if name in self.workspace.facets or name in TIMES]
        if self.extreme:
            place = self._places["extreme"]
            if len(facets) != 1 or self.order or (place >= 0 and self._places[f"prop {facets[0]}"] > place):
                raise NotUnderstoodError
            self.each, self.props = facets[0], [name for name in self.props if name != facets[0]]
        known = self.each in self.workspace.facets or self.each in TIMES
        if self.each and (not known or negated or self.nth or (self.order and not self.sorted_only)):
            raise NotUnderstoodError
        edited = "author" in self.props and self.date_field in ("updated", "created")
        if (facets and negated and not self.items and self.do != "count") or edited:
            raise NotUnderstoodError  # who changed an item is not known, only who wrote it

    def _choice(self, group: _Values) -> None:
        """Add the condition of a group of values."""
        types = {value for one in self._groups if one.field == "type" for value in one.values}
        having = {item.type for item in self.workspace.items if group.field in item.facets}
        if group.field == "category" and types and not types & having:
            self._phrases.append(group.raw)  # articles have no category: "tent articles" mention tents
            return
        if group.field == "type" and self.items and all(item.type in group.values for item in self.items):
            return
        if group.field == "state":
            if "anystate" in self.said:
                return
            self._state_negated = self._state_negated or group.negated
            if group.negated and group.values[0] in ("Published", "Draft"):
                group.values, group.negated = ["Draft" if group.values[0] == "Published" else "Published"], False
        mode = "any" if group.negated and group.mode == "all" else group.mode
        self.conditions.append(Condition(group.field, tuple(group.values), mode, negated=group.negated))

    def _dates(self) -> None:
        """Add the condition of the period, on the date that the verb is about."""
        if self._span is None:
            if self._span_negated:
                raise NotUnderstoodError
            return
        if self._state_negated:
            raise NotUnderstoodError  # "not published in 2025" may mean drafts, or other years
        start, end = self._span.start, self._span.end
        state = self.get("state")
        name = self.date_field or "date"
        if name == "published" and ("anystate" in self.said or (state and "Draft" in state.values)):
            name = "date"
        if self._span_negated:
            operator = self._span.operator
            until_today = operator == "in" and start and end and end >= self.reader.today
            if name != "updated" or not (operator == "since" or until_today):
                raise NotUnderstoodError
            start, end = None, self._span.named_end if operator == "since" else start and start - timedelta(1)
        self.conditions.append(Condition(name, mode="range", low=start, high=end))

    def _limits(self) -> None:
        """Decide how many a superlative means: one, unless a number or a plural says otherwise."""
        if self.order is None:
            self.order = Order() if self.limit else None
            return
        if self.order.field == "date" and self.date_field in ("updated", "created"):
            self.order = replace(self.order, field=self.date_field)
        copulas = self.lexicon.listed("copulas")
        order, state = self._places["order"], self._places.get("state")
        if state is not None and not self.sorted_only:
            between = {word.folded for word in self.words[self.symbols[order].behind : self.symbols[state].at]}
            if (self.words[0].folded in copulas and self.symbols[0].kind != "do") or (
                between & copulas and self.symbols[state].kind == "noun"
            ):
                raise NotUnderstoodError  # "is the cheapest tent a draft?" does not ask for the cheapest draft
        nouns = [one for one in self.symbols if one.can_be("type", "category", "noun")]
        plural = "several" in self.said or (self.language == "en" and nouns and nouns[-1].text.lower().endswith("s"))
        singular = "one" in self.said and not {word.folded for word in self.words} & self.lexicon.listed("plurals")
        if not self.sorted_only and self.limit is None and not self.items and (singular or not plural):
            self.limit = 1
