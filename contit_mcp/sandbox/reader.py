"""Reads a prompt: words become symbols, symbols become conditions, an order, and what is asked of the items found.

Every word must have a part in the result. One word without a part makes the whole prompt not understood: without that
word, the question could have another answer.
"""

import re
from dataclasses import replace
from datetime import date
from typing import Final

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.dates import DateReader, Span
from contit_mcp.sandbox.lexicon import LANGUAGES, Lexicon, Symbol, other_languages, words
from contit_mcp.sandbox.query import Condition, Order, TextIndex

_LONGEST_TOPIC: Final = 6
_MOST_CHARACTERS: Final = 10_000
_MOST_LISTED: Final = 100
_SMALL_TALK: Final = ("help", "more", "everything", "thanks", "yes", "no", "hello")
_NOUNS: Final = ("type", "category", "noun", "tag", "state", "author")
_FLAGS: Final = ("one", "several", "also", "reset", "it", "them", "ones", "anystate", "anytype", "sort")  # go to `said`


class NotUnderstoodError(Exception):
    """The prompt was not understood; `key` names the sentence that says why, `values` fill it."""

    def __init__(self, key: str = "not_understood", **values: str | list[str]) -> None:
        super().__init__(key)
        self.key, self.values = key, values


def refuse(condition: object, key: str = "not_understood", **values: str | list[str]) -> None:
    """Raise NotUnderstoodError if a condition holds."""
    if condition:
        raise NotUnderstoodError(key, **values)


class Reader:
    """Reads prompts about one workspace."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.workspace = workspace
        self.today = today
        self.index = TextIndex(workspace)
        self.by_id = {item.id: item for item in workspace.items}
        self.lexicons = {code: Lexicon(code, workspace, self.index.vocabulary) for code in LANGUAGES}

    def language(self, prompt: str, before: str) -> str:
        """Return the language of a prompt. Raises NotUnderstoodError for one without a lexicon or a very long one."""
        refuse(len(prompt) > _MOST_CHARACTERS)
        told = {word.folded for word in words(prompt, ())}
        symbols = {code: lexicon.read(prompt)[0] for code, lexicon in self.lexicons.items()}
        scores = {code: sum(one.kind != "unknown" for one in symbols[code]) for code in LANGUAGES}
        best = max(LANGUAGES, key=lambda code: (scores[code], code == before))
        others = {code: len(told & signs) for code, signs in other_languages().items()}
        other = max(others, key=others.__getitem__)
        foreign = others[other] > max(2, len(told & self.lexicons[best].listed("signs")) + 1)
        refuse(foreign, "other_language", language=other)
        return best


class Reading:
    """What one prompt says. Raises NotUnderstoodError while it is made."""

    def __init__(self, reader: Reader, prompt: str, language: str) -> None:
        self.reader, self.language = reader, language
        self.workspace, self.lexicon = reader.workspace, reader.lexicons[language]
        self.small_talk = ""
        self.do = ""  # list, count or open; empty where nothing says it
        self.props: list[str] = []  # that are asked for: author, when, price, tag …
        self.conditions: list[Condition] = []
        self.order: Order | None = None
        self.sorted_only = False
        self.limit: int | None = None
        self.nth: int | None = None  # which entry of the last list: 1 is the first, -1 the last
        self.items: list[Item] = []
        self.said: set[str] = set()
        self._last = self._connector = self._introduced = ""  # kind of the last value; "and", "or"; "by", "about" …
        self._minus = False  # whether a negation waits for its object
        self._state_negated = False
        self._span: Span | None = None
        self._unknown: list[str] = []
        self._next = 0  # the place of the next symbol
        self._places: dict[str, int] = {}  # of the first type and state, and of the order
        self.symbols, self.words, self.typos = self.lexicon.read(prompt)
        self._read()

    @property
    def has_type(self) -> bool:
        """Whether the prompt names a type of content, if only as "items", so that it can stand alone."""
        return "type" in self._places

    def get(self, name: str) -> Condition | None:
        """Return the condition on a field."""
        return next((one for one in self.conditions if one.field == name), None)

    def _read(self) -> None:
        meant = [one for one in self.symbols if one.kind not in ("skip", "also", "and") or one.can_be(*_SMALL_TALK)]
        talk = next((kind for kind in _SMALL_TALK if any(one.can_be(kind) for one in meant)), "")
        if talk and all(one.can_be(talk, "hello") for one in meant):
            self.small_talk = talk
            return
        polite = self.lexicon.listed("polite")
        first = next((at for at, word in enumerate(self.words) if word.folded not in polite), 0)
        orders = (one for one in self.symbols if one.can_be("imperative") and not one.can_be("type"))
        refuse(any(one.at == first for one in orders), "read_only")
        self.symbols = [one for one in self.symbols if one.kind != "skip" or one.can_be("unit", "to")]
        self._dates = DateReader(self.symbols, self.reader.today)
        while (at := self._next) < len(self.symbols):
            number = self._peek(at, "number")
            bound = number and (self._peek(at - 1, "cmp", "currency") or self._peek(at + 1, "currency"))
            read = None if bound else self._dates.span(at)
            if read and not self._peek(read[1], "currency"):
                refuse(self._span or self._minus or self._connector == "or", "two_questions")
                self._span, self._next = read
                self._connector = self._introduced = ""
            else:
                self._symbol(at)
        self._finish()

    def _peek(self, at: int, *kinds: str) -> Symbol | None:
        return self.symbols[at].can_be(*kinds) if 0 <= at < len(self.symbols) else None

    def _raw(self, at: int, stop: int) -> str:
        return " ".join(word.raw for word in self.words[self.symbols[at].at : self.symbols[stop - 1].stop])

    def _symbol(self, at: int) -> None:
        symbol, self._next = self.symbols[at], at + 1
        if self._introduced in ("about", "mention") and self._topic(at):
            return
        likely = {"tagged": "tag", "by": "author"}.get(self._introduced, symbol.kind)
        if symbol.kind not in ("item", "imperative", "prop"):
            for facet in (likely, symbol.kind, "type", "state", "author", "locale", "tag", "category"):
                if facet in self.workspace.facets and (one := symbol.can_be(facet)):
                    self._value(at, one)
                    return
        self._word(at, symbol)

    def _word(self, at: int, symbol: Symbol) -> None:
        """Read a symbol that is not a value of a facet."""
        described = self.has_type or self._peek(at + 1, "by", "author", "tagged", "when")
        match symbol.kind:
            case "them" if described and len(symbol.text.split()) == 1:
                pass  # "those by Anna": the pronoun means the noun
            case "also" if at > 1:
                pass
            case flag if flag in _FLAGS:
                self.said.add(flag)
            case "not" | "except" | "neither":
                self._minus = True
            case "and" | "or":
                self._connector = self._connector or symbol.kind
                self.said |= {"also"} if at == 0 else set()
            case "mention" | "tagged":
                self._introduced = symbol.kind
            case "about" | "onwards":
                vague = symbol.can_be("onwards") and not self._peek(at + 1, "tag", "category")
                self._introduced = self._introduced if vague else "about"  # "on" introduces many things
            case "by":
                possessive = symbol.text.lower() == "s" and not self._peek(at + 1, "author")
                self._introduced = self._introduced if possessive else "by"
            case "only" if self._minus or self._introduced or self._peek(at - 1, "locale"):
                raise NotUnderstoodError  # "not only articles", "in Italian only"
            case "only" if not self._peek(at + 1, "locale", "tagged", "prop"):
                self.said.add("only")
            case "noun" | "nodrafts":  # "drafts", "no drafts"
                self._minus = self._minus or symbol.kind == "nodrafts"
                self._value(at, replace(symbol, kind="state", value="Draft", others=()))
            case "item":
                self._item(at, symbol)
            case "when":
                self._when(at, symbol)
            case "currency" | "to" | "hello" | "thanks" | "yes" | "everything":
                pass
            case _:
                self._asked(at, symbol)

    def _asked(self, at: int, symbol: Symbol) -> None:
        """Read an action, a property, an order, an entry of the last list, a number of items, or a bound."""
        value, nouns = symbol.value, ("number", *_NOUNS)
        stop = at + 1 + bool(self._peek(at + 1, "currency", "prop"))
        count = int(value) if value.isdecimal() and 0 < int(value) <= _MOST_LISTED else None
        match symbol.kind:
            case "do" if value in ("list", "exists", "search"):
                self.do = self.do or ("" if value == "exists" else "list")
                if value == "search" and self._peek(at + 1, "unknown"):
                    self._introduced = "mention"
            case "do":
                refuse(self.do not in ("", "list", value), "two_questions")
                self.do = value
            case "prop" if value == "tag" and self._peek(at + 1, "unknown", "tag"):
                self._introduced = "tagged"
            case "prop" if value in self.workspace.facets and self._peek(at + 1, value):
                self._introduced = ""  # a word beside a value
            case "prop" if not (value == "title" and self._peek(at + 1, "unknown")):
                if value not in self.props and not (self._last == value and self._peek(at - 1, value)):
                    self.props.append(value)
            case "order":
                self._order_by(at, value, symbol.text)
            case "ordinal" if any(self._peek(at + step, "order") for step in (-1, 1, 2)):
                self._unknown.append(symbol.text)  # "the second cheapest"
            case "ordinal" if value == "1" and (self._peek(at + 1, *nouns) or self._peek(at - 1, "state", "category")):
                self._order_by(at, "date<")  # "the first two articles"
            case "relative" if symbol.can_be("them"):
                self.said.add("them")
            case "relative" if value not in ("last", "past"):
                self._unknown.append(symbol.text)
            case "relative" if any(self._peek(at + step, *nouns) for step in (1, 2, -1, -2)):
                self._order_by(at, "date>")  # "the last three articles"
            case "relative":
                self.nth = -1
            case "ordinal" | "nth":
                self.nth = int(value)
            case "number" if count and len(self.symbols) == 1:
                self.nth = count
            case "number" if count:
                before = self._peek(at - 1, "order", "relative", "ordinal", "only")
                if self.limit or not (before or self._peek(at + 1, "order", *_NOUNS)):
                    self._unknown.append(symbol.text)
                self.limit = count
            case "cmp" if number := self._peek(stop, "number"):
                self._bound(value, number, stop + 1)
            case _ if symbol.can_be("unit") or not symbol.can_be("skip"):
                self._unknown.append(symbol.text)

    def _value(self, at: int, symbol: Symbol) -> None:
        """Read a value of a facet. Values that "or" joins become one condition."""
        name, value = symbol.kind, symbol.value
        self._places.setdefault(name, at)
        self._introduced = ""
        same = {value, *(other for kind, other in symbol.others if kind == name)}
        refuse(name == "author" and len(same) > 1, "ambiguous", word=symbol.text, names=sorted(same))
        codes = tuple(self.workspace.facets["locale"])
        unknown = name == "locale" and value not in (*codes, "*")
        refuse(unknown, "no_locale_in_workspace", locale=value, locales=list(codes))
        earlier = [one for one in self.conditions if one.field == name]
        is_repeated = any(value in one.values for one in earlier)
        refuse(is_repeated and self._minus)  # "in all languages except German"
        if is_repeated or (name == "type" and value == "*"):
            return
        joined = bool(earlier) and self._last == name
        negated = self._minus or (joined and earlier[-1].negated)
        self._minus = False
        connector, self._connector = self._connector or ("and" if self._peek(at - 1, name) else ""), ""
        self._last = name
        refuse(connector == "or" and not joined, "two_questions")
        several = name in ("tag", "locale")
        either = connector == "or" or (connector and not several and name != "state")
        if joined and either and earlier[-1].negated == negated:
            self.conditions.remove(earlier[-1])
            self.conditions.append(replace(earlier[-1], values=(*earlier[-1].values, value)))
        else:
            refuse(earlier and not several, "two_questions")
            if name == "state":
                value, negated = self._state(symbol, negated=negated)
            values = codes if (name, value) == ("locale", "*") else (value,)
            self.conditions += [Condition(name, (one,), negated=negated) for one in values]

    def _state(self, symbol: Symbol, *, negated: bool) -> tuple[str, bool]:
        """Return a state, and whether it is negated: "not published" are the drafts."""
        signs = {word.folded for word in words(symbol.text, ())} & self.lexicon.listed("negations")
        self._state_negated = negated or bool(signs)
        opposite = {"Published": "Draft", "Draft": "Published"}.get(symbol.value)
        return (opposite, False) if negated and opposite else (symbol.value, negated)

    def _topic(self, at: int) -> bool:
        """Read the phrase after "about": the longest in the content that ends in a word without another meaning."""
        symbol = self.symbols[at]
        if symbol.can_be("tag") and self._introduced == "about":
            return False
        for stop in range(min(at + _LONGEST_TOPIC, len(self.symbols)), at, -1):
            inside = self.symbols[at:stop]
            named = any(one.can_be("item", "type") for one in inside)
            whole = inside[-1].kind in ("unknown", "number") and not named
            alone = stop == at + 1 and symbol.can_be("unknown", "category", "author", "tag", "noun", "do")
            if alone or (whole and self.reader.index.find(self._raw(at, stop))):
                self._phrase(self._raw(at, stop), stop)
                return True
        return False

    def _phrase(self, text: str, stop: int) -> None:
        refuse(self.get("text") or self._connector == "or", "two_questions")
        ids = self.reader.index.find(text)
        self.conditions.append(Condition("text", (text,), negated=self._minus, ids=ids))
        self._minus, self._connector, self._last, self._introduced = False, "", "text", ""
        self._next = stop

    def _order_by(self, at: int, order: str, text: str = "") -> None:
        refuse(self.order and self.order.field != order[:-1], "two_questions")
        self.order = Order(order[:-1], order.endswith(">"))
        self._places["order"] = at
        sorting = {word.folded for word in words(text, ())} & self.lexicon.listed("sort_signs")
        self.sorted_only = self.sorted_only or bool(sorting)

    def _item(self, at: int, symbol: Symbol) -> None:
        """Take a title as an item. A title of one word must be beside a noun that fits, or the last word."""
        item = self.reader.by_id[symbol.value]
        kinds = {one.value for step in (-1, 1) if (one := self._peek(at + step, "type"))}
        asked = (self.props or self.do == "open") and at == len(self.symbols) - 1
        certain = symbol.stop - symbol.at > 1 or asked or len(self.symbols) == 1
        if not certain and not {item.type, "*"} & kinds:
            others = tuple(one for one in symbol.others if one[0] != "item") or (("unknown", symbol.text),)
            self.symbols[at] = replace(symbol, kind=others[0][0], value=others[0][1], others=others[1:])
            self._symbol(at)
            return
        if item not in self.items:
            self.items.append(item)
        self._last = self._connector = ""

    def _bound(self, sign: str, number: Symbol, stop: int, high: Symbol | None = None) -> None:
        """Add a condition on the number field whose unit or name is beside a number."""
        fields = self.workspace.numbers
        named = [one.value for one in self.symbols if one.kind == "prop" and one.value in fields]
        unit = self._peek(stop, "currency", "prop")
        name = "price" if self._peek(stop - 2, "currency") else named[0] if named else ""
        if unit and (unit.kind == "currency" or unit.value in fields):
            name, stop = "price" if unit.kind == "currency" else unit.value, stop + 1
        unclear = name not in fields or self._minus or self.get(name) or self._peek(stop, "unit", "type", "noun")
        refuse(unclear, "unknown_words", words=[number.text])
        self.props = [one for one in self.props if one != name]
        low = self._amount(number) if sign[0] in ">=" else None
        top = self._amount(high or number) if sign[0] in "<=" else None
        self.conditions.append(Condition(name, low=low, high=top, strict=sign in (">", "<")))
        self._next = stop

    def _amount(self, number: Symbol) -> float:
        plain = re.fullmatch(r"\d{1,9}(?:[.,]\d{3})*(?:[.,]\d{1,2})?", number.value)
        refuse(not plain, "unknown_words", words=[number.text])
        return float(re.sub(r"[.,](?=\d{3}(?:\D|$))", "", number.value).replace(",", "."))

    def _when(self, at: int, symbol: Symbol) -> None:
        """Read "between 100 and 200 euros". A preposition of time without a period may be one of another kind."""
        numbers = [place for place in range(at + 1, min(at + 6, len(self.symbols))) if self._peek(place, "number")][:2]
        between = range(at + 1, (numbers or [0])[-1])
        joined = all(self._peek(place, "and", "to", "currency", "number") for place in between)
        if symbol.value in ("between", "from", "since") and len(numbers) > 1 and joined:
            low, high = sorted((self.symbols[place] for place in numbers), key=self._amount)
            self._bound("=", low, numbers[1] + 1, high)
        elif symbol.value != "from" and not self._peek(at + 1, *_NOUNS):
            self._unknown.append(symbol.text)

    def _finish(self) -> None:
        """Add the period, and refuse what does not fit together."""
        refuse(self._unknown, "unknown_words", words=list(dict.fromkeys(self._unknown)))
        refuse(self._minus or self._introduced == "by")
        facets = any(name in self.workspace.facets for name in self.props)
        # "which authors have no drafts" asks for other authors
        refuse(facets and not self.items and any(one.negated for one in self.conditions))
        if "anystate" in self.said:
            self.conditions = [one for one in self.conditions if one.field != "state"]
        if self._span:
            refuse(self._state_negated)  # "not published in 2025" may mean drafts, or other years
            start, end = self._span
            self.conditions.append(Condition("date", low=start, high=end))
        self._limits()
        named = self.conditions or self.items or self.props or self.order or self.nth or self.limit
        said = self.said & {"them", "it", "anystate", "anytype"}
        refuse(not (named or said or self.has_type or self.do))

    def _limits(self) -> None:
        """Decide how many a superlative means: one, unless a number or a plural says otherwise."""
        if self.order is None:
            self.order = Order() if self.limit else None
            return
        copulas = self.lexicon.listed("copulas")
        order, state = self._places["order"], self._places.get("state")
        if state is not None and not self.sorted_only:
            between = {word.folded for word in self.words[self.symbols[order].stop : self.symbols[state].at]}
            first = self.words[0].folded in copulas and self.symbols[0].kind != "do"
            # "is the cheapest tent a draft?" does not ask for the cheapest draft
            refuse(first or (between & copulas and self.symbols[state].kind == "noun"))
        nouns = [one for one in self.symbols if one.can_be("type", "category", "noun")]
        plural = "several" in self.said or (self.language == "en" and nouns and nouns[-1].text.lower().endswith("s"))
        singular = "one" in self.said and not {word.folded for word in self.words} & self.lexicon.listed("plurals")
        if not self.sorted_only and self.limit is None and not self.items and (singular or not plural):
            self.limit = 1
