"""Answers a prompt: merges what it says with the turn before, runs the query, and words the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.dates import month_span
from contit_mcp.sandbox.lexicon import Lexicon, lexicon
from contit_mcp.sandbox.query import (
    DATE_FIELDS,
    Choice,
    Condition,
    Order,
    Period,
    Phrases,
    Query,
    Range,
    count_by,
    find,
)
from contit_mcp.sandbox.reader import NotUnderstoodError, Reader, Reading

if TYPE_CHECKING:
    from datetime import date, datetime

    from contit_mcp.sandbox.content import Item, Workspace

_SHOWN_IN_FULL: Final = 11
"""Lists up to this length are shown in full; of longer ones the first three, as in the vendor's example."""
_FIRST_SHOWN: Final = 3
_PAGE: Final = 10
_MOST_SHOWN: Final = 200
_TOPICS: Final = ("tag", "text")


@dataclass(frozen=True)
class Turn:
    """One answer, and what a follow-up can refer to."""

    answer: str
    language: str = ""
    query: Query | None = None
    ids: tuple[str, ...] = ()
    """The items of the last list or count, in its order."""
    shown: tuple[str, ...] = ()
    """Those of them that were listed by number."""
    focus: str | None = None
    """The item that was talked about last."""
    asked: Reading | None = field(default=None, repr=False)
    understood: bool = True


class Assistant:
    """Answers questions about one workspace, each turn of a conversation from the turn before."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.workspace = workspace
        self.reader = Reader(workspace, today)
        self.today = today

    def reply(self, prompt: str, before: Turn | None) -> Turn:
        """Answer a prompt."""
        before = before or Turn("")
        language = before.language or "en"
        try:
            language = self.reader.language(prompt, before.language)
            reading = self.reader.read(prompt, language)
            turn = _Answer(self, reading, before).turn()
        except NotUnderstoodError as exc:
            words = Words(self, language)
            refused = f"{words.refusal(exc)} {words.examples()}"
            return replace(before, answer=refused, language=language, understood=False)
        notes = [lexicon(language).text("typo", written=written, meant=meant) for written, meant in reading.typos]
        return replace(turn, answer="\n\n".join([turn.answer, *notes]), language=language, understood=True)


class Words:
    """Words results in one language."""

    def __init__(self, assistant: Assistant, language: str) -> None:
        self.workspace = assistant.workspace
        self.today = assistant.today
        self.lexicon: Lexicon = lexicon(language)
        self.language = language
        self.text = self.lexicon.text

    def refusal(self, exc: NotUnderstoodError) -> str:
        """Say why a prompt was not understood."""
        quoted = {
            name: self.join([self.quote(one) if name == "words" else one for one in value], "and")
            if isinstance(value, list)
            else value
            for name, value in exc.values.items()
        }
        if exc.key == "no_field":
            quoted["field"] = self.field(str(quoted["field"])).lower()
        return self.text(exc.key, **quoted)

    def examples(self) -> str:
        """List questions that this workspace answers."""
        newest = max((item.dates["published"] for item in self.workspace.items if "published" in item.dates), default=None)
        values = {name: self.workspace.values(name).most_common(1) for name in ("author", "tag")}
        tag = values["tag"][0][0] if values["tag"] else ""
        types = self.workspace.values("type").most_common(1)[0][0]
        known = {
            "types": self.noun(types, many=True),
            "author": values["author"][0][0] if values["author"] else None,
            "tag": self.workspace.name("tag", tag, self.language) if tag else None,
            "month": self.months()[newest.month - 1] if newest else None,
            "year": newest.year if newest else None,
        }
        lines = []
        for example in self.lexicon.table("examples").values():
            if all(value is not None for name, value in known.items() if f"{{{name}}}" in example):
                lines.append(f"- {example.format(**known)}")
        return "\n".join([self.text("examples"), "", *lines])

    def months(self) -> list[str]:
        """Return the names of the months."""
        return self.lexicon.table("dates")["months"].split(", ")

    def quote(self, text: str) -> str:
        """Put a text in quotation marks."""
        return self.lexicon.table("conditions")["quote"].format(text)

    def join(self, parts: list[str], word: str) -> str:
        """Join parts by commas and a word."""
        if len(parts) < 2:  # noqa: PLR2004 - one part needs no word
            return "".join(parts)
        return f"{', '.join(parts[:-1])} {self.lexicon.table('conditions')[word]} {parts[-1]}"

    def field(self, name: str) -> str:
        """Return the name of a field."""
        spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).replace("_", " ")
        return self.lexicon.table("fields").get(name, spaced[:1].upper() + spaced[1:])

    def noun(self, name: str, *, many: bool) -> str:
        """Return the noun of a type."""
        nouns = self.lexicon.table("nouns")
        if name in nouns:
            return nouns[name].split("|")[min(int(many), 1)].strip()
        spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip().lower()
        for rule in nouns["plural"] if many else ():
            ending, _, replacement = rule.partition(">")
            if spaced.endswith(ending):
                return spaced.removesuffix(ending) + replacement
        return spaced

    def state(self, name: str, types: tuple[str, ...], *, many: bool) -> str:
        """Return the adjective of a state, in the form that fits the noun."""
        forms = [form.strip() for form in self.lexicon.table("states").get(name, name).split("|")]
        feminine = types and all("| f" in self.lexicon.table("nouns").get(one, "") for one in types)
        return forms[min(int(many) + 2 * bool(feminine), len(forms) - 1)]

    def name(self, facet: str, value: str) -> str:
        """Return the name of a value."""
        if facet == "locale":
            return self.lexicon.table("languages").get(value, value).split(",")[0].title() if self.language == "en" else self.lexicon.table("languages").get(value, value).split(",")[0]
        if facet == "month":
            return self.lexicon.table("dates")["month"].format(month=self.months()[int(value[5:]) - 1], year=value[:4])
        if facet == "type":
            return self.noun(value, many=False)
        if facet == "state":
            return self.state(value, (), many=False)
        return self.workspace.name(facet, value, self.language)

    def day(self, day: date | datetime, *, year: bool = True) -> str:
        """Write a day."""
        pattern = self.lexicon.table("dates")["day" if year else "day_in_year"]
        return pattern.format(day=day.day, month=self.months()[day.month - 1], year=day.year)

    def number(self, field_name: str, value: float) -> str:
        """Write a number with its unit."""
        unit = self.workspace.units.get(field_name)
        amount = f"{value:.2f}" if unit or value != int(value) else f"{int(value)}"
        amount = amount.replace(".", self.lexicon.decimal)
        return self.lexicon.table("conditions")["money"].format(unit=unit, amount=amount) if unit else amount

    def order(self, order: Order | None) -> str:
        """Name an order."""
        order = order or Order("date")
        name = "date" if order.field in ("published", "created") else order.field
        orders = self.lexicon.table("orders")
        sign = ">" if order.descending else "<"
        known = orders.get(name + sign)
        return known or orders["other" + sign].format(field=self.field(name).lower())

    def subject(self, query: Query, count: int) -> str:
        """Describe the items of a query: "published articles by Anna Weber from March 2026"."""
        many = count != 1
        rest = []
        types: tuple[str, ...] = ()
        states: list[str] = []
        for condition in query.conditions:
            if isinstance(condition, Choice) and condition.field == "type" and not condition.negated:
                types = condition.values
            elif isinstance(condition, Choice) and condition.field == "state" and not condition.negated:
                states = list(condition.values)
            else:
                rest.append(self.condition(condition))
        noun = self.join([self.noun(one, many=many) for one in types or ("*",)], "and")
        state = self.join([self.state(one, types, many=many) for one in states], "or")
        if query.within is not None:
            rest.append(self.lexicon.table("conditions")["within"])
        pattern = self.lexicon.table("conditions")["subject"]
        return " ".join(pattern.format(state=state, noun=noun, rest=" ".join(rest)).split())

    def condition(self, condition: Condition) -> str:
        """Describe one condition."""
        patterns = self.lexicon.table("conditions")
        if isinstance(condition, Period):
            return patterns[f"period_{condition.field}"].format(self.period(condition))
        if isinstance(condition, Range):
            bounds = [None if one is None else self.number(condition.field, one) for one in (condition.low, condition.high)]
            if condition.low is not None and condition.high is not None:
                key = "equal" if condition.low == condition.high else "range"
            elif condition.low is not None:
                key = "over" if condition.strict else "at_least"
            else:
                key = "under" if condition.strict else "at_most"
            return patterns[key].format(*bounds, field=self.field(condition.field).lower())
        negated = "not_" if condition.negated else ""
        if isinstance(condition, Phrases):
            key = "title" if condition.title_only else "text"
            together = len(set(condition.texts.values())) == 1
            quoted = self.join([self.quote(one) for one in condition.phrases], "and" if together else "or")
            return patterns[negated + key].format(quoted)
        assert isinstance(condition, Choice)
        names = [self.name(condition.field, one) for one in condition.values]
        if condition.field in ("tag", "category"):
            names = [self.quote(one) for one in names]
        joined = self.join(names, "or" if condition.mode == "any" else "and")
        key = "only_locale" if condition.mode == "only" else negated + condition.field
        return patterns.get(key, patterns[negated + "other"]).format(joined, field=self.field(condition.field).lower())

    def period(self, period: Period) -> str:
        """Describe a period, as a month, a year or a day where it is one."""
        start, end = period.start, period.end
        patterns = self.lexicon.table("dates")
        ends = [self.day(one) if one else "" for one in (start, end)]
        if start is None or end is None:
            return patterns["since" if start else "until"].format(*ends)
        month = month_span(start.year, start.month)
        if start == end:
            return patterns["on"].format(ends[0])
        if (month.start, month.end) == (start, end):
            return patterns["in"].format(self.name("month", start.isoformat()[:7]))
        if (start.month, start.day, end.month, end.day, start.year) == (1, 1, 12, 31, end.year):
            return patterns["in"].format(start.year)
        return patterns["between"].format(*ends)


class _Answer:
    """The answer to one reading."""

    def __init__(self, assistant: Assistant, reading: Reading, before: Turn) -> None:
        self.workspace = assistant.workspace
        self.by_id = assistant.reader.by_id
        self.reading = reading
        self.before = before
        self.words = Words(assistant, reading.language)
        self.text = self.words.text
        locale = reading.get("locale")
        only_one = isinstance(locale, Choice) and not locale.negated and len(locale.values) == 1
        self.locale = locale.values[0] if isinstance(locale, Choice) and only_one else reading.language

    def turn(self) -> Turn:
        """Decide what is asked for, and answer it."""
        reading, before = self.reading, self.before
        if reading.small_talk:
            return self._small_talk(reading.small_talk)
        if reading.nth is not None:
            return self._about([self._entry(reading.nth)])
        if reading.items:
            return self._about(reading.items)
        focus = self.by_id.get(before.focus or "")
        bare = not (reading.noun or reading.them or reading.order or reading.each or reading.extreme or reading.do == "count")
        if bare and (reading.it or (focus and (reading.props or reading.do == "open" or self._only_locale()))):
            if focus is None and len(before.ids) == 1:
                focus = self.by_id[before.ids[0]]
            if focus is None:
                raise NotUnderstoodError("no_reference")
            return self._about([focus])
        query = self._query()
        return self._result(query)

    def _only_locale(self) -> bool:
        fields = {one.field for one in self.reading.conditions}
        return fields == {"locale"} and not self.reading.only

    def _small_talk(self, kind: str) -> Turn:
        before = self.before
        if kind in ("help", "hello"):
            hello = f"{self.text('hello')} {self.words.examples()}"
            return replace(before, answer=hello)
        if kind in ("thanks", "no", "yes"):
            return replace(before, answer=self.text(kind))
        if before.query is None:
            raise NotUnderstoodError("no_reference")
        items = [self.by_id[one] for one in before.ids]
        if kind == "everything":
            return self._list(before.query, items, first=0, count=_MOST_SHOWN)
        first = items.index(self.by_id[before.shown[-1]]) + 1 if before.shown else 0
        if first >= len(items):
            return replace(before, answer=self.text("no_more"))
        page = self._list(before.query, items, first=first, count=_PAGE)
        return page

    def _entry(self, nth: int) -> Item:
        shown = self.before.shown or self.before.ids
        if not shown:
            raise NotUnderstoodError("no_reference")
        if nth > len(shown) or nth == 0:
            raise NotUnderstoodError("no_entry" if len(shown) > 1 else "no_entry_1", count=str(len(shown)))
        return self.by_id[shown[nth - 1 if nth > 0 else nth]]

    # What is asked for

    def _query(self) -> Query:
        """Return the query of this prompt, merged into the one before if it is a follow-up."""
        reading, before = self.reading, self.before
        fresh = Query(tuple(reading.conditions), None, reading.order, reading.limit, reading.skip)
        leans = reading.them or reading.also or reading.only or not reading.noun
        alone = reading.noun or not (reading.them or reading.it or reading.also or (reading.only and not reading.conditions))
        if before.query is None:
            if reading.them or (not alone and not reading.conditions and not reading.order) or self._nothing_named():
                raise NotUnderstoodError("no_reference" if reading.them or reading.also else "not_understood")
            return fresh
        if not leans or (reading.reset and (reading.conditions or reading.noun)):
            return fresh
        previous = before.query
        if reading.them or (reading.only and previous.limit is not None):
            kept = [one for one in previous.conditions if one.field == "type" and not reading.get("type")]
            within = frozenset(before.ids)
            return Query((*kept, *reading.conditions), within, reading.order, reading.limit, reading.skip)
        merged = self._merged(previous)
        if reading.order:
            merged = replace(merged, order=reading.order, limit=reading.limit, skip=reading.skip)
        elif reading.limit:
            merged = replace(merged, limit=reading.limit)
        elif reading.reset:
            merged = replace(merged, limit=None, skip=0)
        return merged

    def _nothing_named(self) -> bool:
        reading = self.reading
        named = reading.noun or reading.conditions or reading.order or reading.each or reading.extreme or reading.dropped
        return not named and not (reading.props and reading.do == "count") and not (reading.props and reading.props != ["when"] and "price" not in reading.props)

    def _merged(self, previous: Query) -> Query:
        """Replace the conditions of the query before by the new ones of their kind."""
        reading = self.reading
        gone = {one.field for one in reading.conditions} | reading.dropped
        if reading.only:
            gone -= {"tag", "text"}
        elif gone & set(_TOPICS):
            gone |= set(_TOPICS)
        if gone & set(DATE_FIELDS):
            gone |= set(DATE_FIELDS)
        if reading.noun and not reading.get("type"):
            gone.add("type")
        if reading.get("type"):
            gone.add("category")
        kept = [one for one in previous.conditions if one.field not in gone]
        drafts = reading.get("state")
        if isinstance(drafts, Choice) and "Draft" in drafts.values:
            kept = [replace(one, field="date") if isinstance(one, Period) and one.field == "published" else one for one in kept]
        new = list(reading.conditions)
        earlier = previous.get("date") or previous.get("published") or previous.get("updated") or previous.get("created")
        new = [
            replace(one, field=earlier.field)
            if isinstance(one, Period) and isinstance(earlier, Period) and one.field == "date" and not reading.date_field
            else one
            for one in new
        ]
        return replace(previous, conditions=(*kept, *new))

    def _result(self, query: Query) -> Turn:
        reading = self.reading
        if query.order and query.order.field == "date" and not self._any_state(query):
            query = replace(query, order=replace(query.order, field="published"))
        if self._inherits():
            asked = self.before.asked
            assert asked is not None
            reading = replace(reading, do=asked.do, each=asked.each, extreme=asked.extreme, props=asked.props)
        items = find(self.workspace, query)
        if reading.do in ("average", "sum"):
            return self._arithmetic(query, items, reading)
        groups = [one for one in reading.props if one in self.workspace.facets or one in ("month", "year")]
        if reading.each or (reading.do == "count" and groups):
            return self._groups(query, items, reading.each or groups[0], reading)
        if reading.do == "count":
            return self._count(query, items, reading)
        if reading.props:
            return self._facts_of_list(query, items, reading, groups)
        if reading.do == "open" and len(items) == 1:
            return self._about(items)
        return self._list(query, items, reading=reading)

    def _inherits(self) -> bool:
        """Whether a fragment such as "and in 2025?" asks for the same of other items."""
        reading, asked = self.reading, self.before.asked
        if asked is None or reading.do or reading.props or reading.each or reading.order or reading.limit:
            return False
        countable = asked.do in ("count", "average", "sum") or asked.each
        return bool(countable) and not reading.them and not reading.only

    def _any_state(self, query: Query) -> bool:
        state = query.get("state")
        if query.within is not None:
            return True
        return "state" in self.reading.dropped or (isinstance(state, Choice) and "Draft" in state.values)

    # Answers

    def _remember(self, answer: str, query: Query, items: list[Item], shown: list[Item], reading: Reading | None = None) -> Turn:
        focus = shown[0].id if len(shown) == 1 and len(items) == 1 else None
        ids, listed = tuple(item.id for item in items), tuple(item.id for item in shown)
        return Turn(answer, self.reading.language, query, ids, listed, focus, reading or self.reading)

    def _list(
        self, query: Query, items: list[Item], *, first: int | None = None, count: int = 0, reading: Reading | None = None,
        columns: tuple[str, ...] = (),
    ) -> Turn:  # fmt: skip
        subject = self.words.subject(query, len(items))
        if not items:
            return self._remember(self.text("found_none", subject=subject), query, [], [], reading)
        paging = first is not None
        first = first or 0
        if not paging:
            count = len(items) if query.limit or len(items) <= _SHOWN_IN_FULL else _FIRST_SHOWN
        shown = items[first : first + count]
        order = self.words.order(query.order)
        if first:
            heading = self.text("page", first=first + 1, last=first + len(shown), total=len(items), subject=subject)
        else:
            key = "here_top" if len(shown) < len(items) or (query.limit and len(items) > 1) else "here_all" if len(items) > 1 else "here_one"
            heading = f"{self.text('found', count=len(items), subject=subject)} {self.text(key, order=order)}"
        years = {day.year for item in items if (day := self._shown_date(item, query))}
        one_year = len(years) == 1 and any(isinstance(one, Period) and one.start and one.end for one in query.conditions)
        lines = [
            f"{number}. {self._line(item, query, columns, year=not one_year)}"
            for number, item in enumerate(shown, first + 1)
        ]
        offer = [self.text("offer")] if len(items) > 1 else []
        return self._remember("\n\n".join([heading, "\n".join(lines), *offer]), query, items, shown, reading)

    def _shown_date(self, item: Item, query: Query) -> datetime | None:
        period = next((one for one in query.conditions if isinstance(one, Period)), None)
        name = query.order.field if query.order and query.order.field in DATE_FIELDS else period.field if period else "date"
        return item.date if name == "date" else item.dates.get(name) or item.date

    def _line(self, item: Item, query: Query, columns: tuple[str, ...], *, year: bool) -> str:
        """Write a line of a list: the title, the date or number that it is ordered by, and what was asked for."""
        facts = []
        numbers = [one.field for one in query.conditions if isinstance(one, Range)]
        numbers += [query.order.field] if query.order and query.order.field in self.workspace.number_fields else []
        for name in dict.fromkeys(numbers):
            if name in item.numbers:
                facts.append(self.words.number(name, item.numbers[name]))
        day = self._shown_date(item, query)
        if not facts and day and "when" not in columns:
            facts.append(self.words.day(day, year=year))
        facts += [value for name in columns if name not in numbers and (value := self._value(item, name))]
        return f"**{item.title(self.locale)}**" + (f" ({'; '.join(facts)})" if facts else "")

    def _count(self, query: Query, items: list[Item], reading: Reading) -> Turn:
        subject = self.words.subject(query, len(items))
        if not items:
            return self._remember(self.text("count_none", subject=subject), query, [], [], reading)
        types = count_by(items, "type")
        shares = []
        if len(types) > 1:
            shares = [f"{count} {self.words.noun(name, many=count > 1)}" for name, count in types]
        elif not query.get("state"):
            for name, count in count_by(items, "state"):
                forms = self.words.lexicon.table("shares").get(name, "{} " + name).split("|")
                shares.append(forms[0 if count == 1 else -1].strip().format(count))
        split = self.text("split", shares=self.words.join(shares, "and")) if len(shares) > 1 else ""
        key = "count_one" if len(items) == 1 else "count_many"
        answer = self.text(key, count=len(items), subject=subject, split=split)
        return self._remember(answer, query, items, [], reading)

    def _groups(self, query: Query, items: list[Item], facet: str, reading: Reading) -> Turn:
        subject = self.words.subject(query, 2)
        counts = count_by(items, facet)
        choice = query.get(facet)
        if isinstance(choice, Choice) and not choice.negated and len(choice.values) > 1:
            counts = sorted(((one, dict(counts).get(one, 0)) for one in choice.values), key=lambda pair: -pair[1])
        if not counts:
            return self._remember(self.text("group_none", subject=subject), query, [], [], reading)
        if reading.extreme:
            bound = (max if reading.extreme == ">" else min)(count for _, count in counts)
            names = [f"**{self.words.name(facet, name)}**" for name, count in counts if count == bound]
            key = "extreme_most" if reading.extreme == ">" else "extreme_fewest"
            answer = self.text(key, names=self.words.join(names, "and"), count=bound, subject=subject)
            return self._remember(answer, query, items, [], reading)
        lines = [self.text("group_line", name=self.words.name(facet, name), count=count) for name, count in counts]
        heading = self.text("groups", field=self.words.field(facet), count=len(counts), subject=subject)
        return self._remember("\n".join([heading, "", *lines]), query, items, [], reading)

    def _arithmetic(self, query: Query, items: list[Item], reading: Reading) -> Turn:
        if reading.each:
            return self._pace(query, items, reading)
        numeric = [one for one in reading.props if one in self.workspace.number_fields] or ["price"]
        name = numeric[0]
        values = [item.numbers[name] for item in items if name in item.numbers]
        if name not in self.workspace.number_fields or not values or set(reading.props) - {name}:
            raise NotUnderstoodError("no_field", field=name)
        priced = [item for item in items if name in item.numbers]
        if len(priced) < len(items) and query.get("type"):
            raise NotUnderstoodError("no_field", field=name)
        total = sum(values)
        answer = self.text(
            reading.do,
            field=self.words.field(name).lower(),
            count=len(values),
            subject=self.words.subject(query, len(values)),
            value=self.words.number(name, total / len(values) if reading.do == "average" else total),
            low=self.words.number(name, min(values)),
            high=self.words.number(name, max(values)),
        )
        return self._remember(answer, query, priced, [], reading)

    def _pace(self, query: Query, items: list[Item], reading: Reading) -> Turn:
        """Answer "how many articles per month on average": only for a period with two ends."""
        period = next((one for one in query.conditions if isinstance(one, Period) and one.start and one.end), None)
        if period is None or reading.do != "average" or reading.each not in ("month", "year") or not period.start or not period.end:
            raise NotUnderstoodError
        start, end = period.start, period.end
        whole = month_span(start.year, start.month).start == start and month_span(end.year, end.month).end == end
        months = (end.year - start.year) * 12 + end.month - start.month + 1
        units = months if reading.each == "month" else months / 12
        if not whole or units != int(units) or end > self.words.today:
            raise NotUnderstoodError
        answer = self.text(
            "pace", value=self.words.number("", len(items) / units), unit=self.text(f"unit_{reading.each}"),
            count=len(items), subject=self.words.subject(query, len(items)), units=int(units),
        )  # fmt: skip
        return self._remember(answer, query, items, [], reading)

    def _facts_of_list(self, query: Query, items: list[Item], reading: Reading, groups: list[str]) -> Turn:
        """Answer who, when and how much of the items of a query: one as a sentence, several as a list."""
        if len(items) == 1:
            return self._about(items, query)
        grouped = len(groups) == 1 and len(reading.props) == 1 and not query.limit and not reading.topical
        if grouped and items and not (query.order and not reading.sorted_only):
            return self._groups(query, items, groups[0], reading)
        if len(items) > _SHOWN_IN_FULL and not query.limit:
            raise NotUnderstoodError
        return self._list(query, items, reading=reading, columns=tuple(reading.props))

    def _about(self, items: list[Item], query: Query | None = None) -> Turn:
        """Answer about single items: what was asked for, else everything."""
        reading = self.reading
        before = self.before
        if reading.do in ("count", "average", "sum") and not reading.props or reading.each or reading.extreme or (reading.order and not query):
            raise NotUnderstoodError
        if len(items) > 1:
            return self._several(items)
        item = items[0]
        locale = reading.get("locale")
        if (
            isinstance(locale, Choice) and len(locale.values) == 1 and locale.values[0] not in item.facets["locale"]
            and not locale.negated and (reading.do in ("open", "list") or not reading.props)
        ):  # fmt: skip
            names = [self.words.name("locale", one) for one in item.facets["locale"]]
            answer = self.text(
                "no_locale", title=item.title(reading.language), locale=self.words.name("locale", locale.values[0]),
                locales=self.words.join(names, "and"),
            )  # fmt: skip
        else:
            asked = self._asked(item)
            answer = "\n".join(asked) if asked else self._details(item)
        if query is not None:
            return replace(self._remember(answer, query, [item], [item]), focus=item.id)
        listed = Query((Choice("id", ()),), frozenset([item.id])) if before.query is None else before.query
        ids, shown = (before.ids, before.shown) if item.id in before.ids else ((item.id,), (item.id,))
        if item.id not in before.ids:
            listed = Query((), frozenset([item.id]))
        return Turn(answer, reading.language, listed, ids, shown, item.id, None)

    def _several(self, items: list[Item]) -> Turn:
        reading = self.reading
        names = list(reading.props) or (["price"] if reading.do == "difference" else [])
        if len(items) > _SHOWN_IN_FULL or not names:
            raise NotUnderstoodError("two_questions")
        lines = [fact for item in items for fact in (self._fact(item, name) for name in names)]
        prices = [item.numbers["price"] for item in items if "price" in item.numbers]
        if reading.do == "difference" and len(prices) == len(items) == 2:  # noqa: PLR2004 - a difference is of two
            lines.append(self.text("difference", value=self.words.number("price", abs(prices[0] - prices[1]))))
        ids = tuple(item.id for item in items)
        return Turn("\n".join(lines), reading.language, Query((), frozenset(ids)), ids, ids, None, None)

    def _asked(self, item: Item) -> list[str]:
        """Return a sentence for each property that was asked for, or that a condition is about."""
        reading = self.reading
        names = list(reading.props)
        opened = reading.do in ("open", "list") and not names
        for condition in reading.conditions:
            if isinstance(condition, (Choice, Range, Period)) and condition.field not in names:
                if condition.field == "type" or (opened and condition.field == "locale"):
                    continue
                names.append("state" if condition.field == "state" else condition.field)
        if reading.date_field and "when" in names:
            names = [name for name in names if name != "state"]
        if any(isinstance(one, Phrases) for one in reading.conditions) and not reading.topical and not names:
            raise NotUnderstoodError
        shown = {name: self._fact(item, name) for name in names if name not in ("month", "year")}
        return list(dict.fromkeys(shown.values()))

    def _value(self, item: Item, name: str) -> str:
        """Return a property of an item; empty if it has none."""
        if name == "when" or name in DATE_FIELDS:
            field_name = self.reading.date_field or "published" if name == "when" else name
            day = item.date if field_name == "date" else item.dates.get(field_name)
            return self.words.day(day) if day else ""
        if name in self.workspace.number_fields:
            return self.words.number(name, item.numbers[name]) if name in item.numbers else ""
        if name == "title":
            return item.title(self.locale)
        values = [self.words.name(name, one) for one in item.facets.get(name, ())]
        return self.words.join([self.words.quote(one) if name == "tag" else one for one in values], "and")

    def _fact(self, item: Item, name: str) -> str:
        title = item.title(self.reading.language)
        value = self._value(item, name)
        if name == "when" or name in DATE_FIELDS:
            key = self.reading.date_field or "published" if name == "when" else name
            key = "published" if key == "date" else key
            if key == "published" and "published" not in item.dates:
                updated = self._value(item, "updated")
                return self.text("fact_published_none", title=title, updated=updated)
            return self.text(f"fact_{key}", title=title, value=self._value(item, key))
        if name == "state":
            if item.state == "Draft":
                return self.text("fact_published_none", title=title, updated=self._value(item, "updated"))
            if "published" in item.dates and item.state == "Published":
                return self.text("fact_state_published", title=title, value=self._value(item, "published"))
        if name == "title":
            return self.text("fact_title", locale=self.words.name("locale", self.locale), value=value)
        kind = name if name in ("author", "tag", "locale") else "number" if name in self.workspace.number_fields else "other"
        field_name = self.words.field(name)
        field_name = field_name.lower() if self.reading.language == "en" else field_name
        return self.text(f"fact_{kind}" if value else f"fact_{kind}_none", title=title, value=value, field=field_name)

    def _details(self, item: Item) -> str:
        """Write everything about an item."""
        words = self.words
        rows = []
        names = [
            "type", "state", "author", "tag", *(name for name in item.facets if name not in ("type", "state", "author", "tag", "locale")),
            *item.numbers, "locale", "published", "updated",
        ]  # fmt: skip
        for name in names:
            if value := self._value(item, name):
                rows.append(self.text("row", field=words.field(name), value=value.replace(words.quote("x")[0], "").replace(words.quote("x")[-1], "")))
        return "\n\n".join(part for part in (f"**{item.title(self.locale)}**", item.text(self.locale), "\n".join(rows)) if part)
