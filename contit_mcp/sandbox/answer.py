"""Answers a prompt: merges what it says with the turn before, runs the query, and puts the result into words."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.dates import month_span
from contit_mcp.sandbox.lexicon import Lexicon, spaced
from contit_mcp.sandbox.query import Condition, Order, Query, find
from contit_mcp.sandbox.reader import NotUnderstoodError, Reader, Reading, refuse

_SHOWN_IN_FULL: Final = 11  # a longer list begins with its first three, as in the vendor's example
_FIRST_SHOWN: Final = 3
_PAGE: Final = 10
_MOST_SHOWN: Final = 200


@dataclass(frozen=True)
class Turn:
    """One answer, and what a follow-up can refer to."""

    answer: str
    language: str = ""
    query: Query | None = None
    ids: tuple[str, ...] = ()  # of the last list or count, in its order
    shown: tuple[str, ...] = ()  # those that were listed by number
    focus: str | None = None  # the item that was talked about last
    counts: bool = False  # whether the items were counted, so that a follow-up counts others


class _Words:
    """Puts results about a workspace into words, in one language."""

    def __init__(self, workspace: Workspace, lexicon: Lexicon) -> None:
        self.workspace = workspace
        self.text, self.tables = lexicon.text, lexicon.tables
        self._patterns: dict[str, str] = self.tables["conditions"]
        self._dates: dict[str, str] = self.tables["dates"]
        self._months = self._dates["months"].split(", ")

    def join(self, parts: list[str], word: str = "and") -> str:
        last = f" {self._patterns[word]} {parts[-1]}" if parts[1:] else "".join(parts)
        return ", ".join(parts[:-1]) + last

    def field(self, name: str) -> str:
        return str(self.tables["fields"].get(name, spaced(name)))

    def noun(self, name: str, *, many: bool) -> str:
        if name in self.tables["nouns"]:
            return str(self.tables["nouns"][name]).split("|")[many].strip()
        word = self.tables["names"].get(spaced(name), spaced(name)).split(",")[0]
        rules = (rule.partition(">") for rule in self.tables["plural"] if many)
        return str(next((word.removesuffix(old) + new for old, _, new in rules if word.endswith(old)), word))

    def _state(self, name: str, types: tuple[str, ...], *, many: bool) -> str:
        forms = self.tables["states"].get(name, spaced(name)).split("|")
        feminine = len(types) == 1 and self.tables["nouns"].get(types[0], "").endswith("| f")
        return str(forms[min(many + 2 * feminine, len(forms) - 1)]).strip()

    def name(self, facet: str, value: str) -> str:
        if facet == "locale":
            return str(self.tables["languages"].get(value, value)).split(",")[0]
        if facet == "type":
            return self.noun(value, many=False)
        if facet == "state":
            return self._state(value, (), many=False)
        return str(self.tables["names"].get(spaced(value), value)).split(",")[0]

    def day(self, day: date, *, year: bool = True) -> str:
        pattern = self._dates["day" if year else "day_in_year"]
        return pattern.format(day=day.day, month=self._months[day.month - 1], year=day.year)

    def number(self, name: str, value: float) -> str:
        unit = self.workspace.units.get(name)
        amount = f"{value:.2f}" if unit or value % 1 else f"{value:.0f}"
        amount = amount.replace(".", self.tables["decimal"])
        return self._patterns["money"].format(unit=unit, amount=amount) if unit else amount

    def subject(self, query: Query, count: int) -> str:
        """Describe the items of a query: "published articles by Anna Weber from March 2026"."""
        parts: dict[str, tuple[str, ...]] = {"type": ("*",), "state": ()}
        rest = []
        for one in query.conditions:
            if one.field in parts and not one.negated:
                parts[one.field] = one.values
            else:
                rest.append(self._condition(one))
        many, types = count != 1, parts["type"]
        noun = self.join([self.noun(one, many=many) for one in types])
        state = self.join([self._state(one, types, many=many) for one in parts["state"]], "or")
        within = self._patterns["within"] if query.within is not None else ""
        described = self._patterns["subject"].format(state=state, noun=noun, rest=" ".join([*rest, within]))
        return " ".join(described.split())

    def _condition(self, condition: Condition) -> str:
        if not condition.values:
            return self._range(condition)
        names = [self.name(condition.field, one) for one in condition.values]
        if condition.field in ("tag", "category", "text"):
            names = [self._patterns["quote"].format(one) for one in names]
        joined = self.join(names, "or")
        key = f"not_{condition.field}" if condition.negated else condition.field
        other = "not_other" if condition.negated else "other"
        return self._patterns.get(key, self._patterns[other]).format(joined, field=self.field(condition.field).lower())

    def _range(self, condition: Condition) -> str:
        low, high = condition.low, condition.high
        if condition.field == "date":
            return self._period(low, high)
        bounds = [None if one is None else self.number(condition.field, one) for one in (low, high)]
        over, under = ("over", "under") if condition.strict else ("at_least", "at_most")
        key = over if high is None else under if low is None else "equal" if low == high else "range"
        return self._patterns[key].format(*bounds, field=self.field(condition.field).lower())

    def _period(self, start: date | None, end: date | None) -> str:
        """Describe a period, as a day, a month or a year where it is one."""
        ends = [self.day(one) if one else "" for one in (start, end)]
        if start is None or end is None:
            return self._dates["since" if start else "until"].format(*ends)
        month = self._dates["month"].format(month=self._months[start.month - 1], year=start.year)
        if start == end:
            return self._dates["on"].format(ends[0])
        if (start, end) == month_span(start.year, start.month):
            return self._dates["in"].format(month)
        if (start, end) == month_span(start.year, 1, 12):
            return self._dates["in_year"].format(start.year)
        return self._dates["between"].format(*ends)

    def refusal(self, key: str, values: dict[str, str | list[str]]) -> str:
        named, quote = {}, self._patterns["quote"]
        for name, value in values.items():
            listed = value if isinstance(value, list) else [value]
            said = [quote.format(one) if name == "words" else self.name("locale", one) for one in listed]
            named[name] = self.join(said)
        return f"{self.text(key, **named)} {self.examples()}"

    def examples(self) -> str:
        return "\n".join([self.text("examples"), "", *(f"- {one}" for one in self.tables["examples"])])


class Assistant:
    """Answers questions about one workspace, each turn of a conversation from the turn before."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.reader = Reader(workspace, today)

    def reply(self, prompt: str, before: Turn | None) -> Turn:
        """Return the turn that answers a prompt."""
        before = before or Turn("")
        language = before.language or "en"
        try:
            language = self.reader.language(prompt, before.language)
            reading = Reading(self.reader, prompt, language)
            turn = _Answer(reading, before).turn()
        except NotUnderstoodError as exc:
            refusal = _Words(self.reader.workspace, self.reader.lexicons[language]).refusal(exc.key, exc.values)
            return replace(before, answer=refusal, language=language)
        notes = [reading.lexicon.text("typo", written=written, meant=meant) for written, meant in reading.typos]
        return replace(turn, answer="\n\n".join([turn.answer, *notes]), language=language)


class _Answer:
    """The answer to one reading."""

    def __init__(self, reading: Reading, before: Turn) -> None:
        self.workspace, self.by_id = reading.workspace, reading.reader.by_id
        self.reading, self.before = reading, before
        self.words = _Words(reading.workspace, reading.lexicon)
        self.text = self.words.text
        self.merged = False  # whether the query is a follow-up, which asks for the same of other items
        locale = reading.get("locale")
        self.locale = locale.values[0] if locale and not locale.negated and not locale.values[1:] else reading.language

    def turn(self) -> Turn:
        reading, before = self.reading, self.before
        if reading.small_talk:
            return self._small_talk(reading.small_talk)
        if reading.nth is not None:
            return self._about([self._entry(reading.nth)])
        if reading.items:
            return self._about(reading.items)
        fields = {one.field for one in reading.conditions}
        focus = before.focus or (before.ids[0] if len(before.ids) == 1 and "it" in reading.said else None)
        wide = reading.has_type or "them" in reading.said or reading.order or reading.do == "count"
        asks = reading.props or reading.do == "open" or (fields == {"locale"} and "only" not in reading.said)
        if not wide and focus and (asks or "it" in reading.said) and fields <= {"locale", "state", "type"}:
            return self._about([self.by_id[focus]])
        refuse(not wide and "it" in reading.said, "no_reference")
        return self._result(self._query())

    def _small_talk(self, kind: str) -> Turn:
        before = self.before
        if kind in ("help", "hello"):
            return replace(before, answer=f"{self.text('hello')} {self.words.examples()}")
        if kind in ("thanks", "no", "yes"):
            return replace(before, answer=self.text(kind))
        if before.query is None:
            raise NotUnderstoodError("no_reference")
        items = [self.by_id[one] for one in before.ids]
        if kind == "everything":
            return self._list(before.query, items, count=_MOST_SHOWN)
        first = before.ids.index(before.shown[-1]) + 1 if before.shown else 0
        if first >= len(items):
            return replace(before, answer=self.text("no_more"))
        return self._list(before.query, items, first=first, count=_PAGE)

    def _entry(self, nth: int) -> Item:
        shown = self.before.shown or self.before.ids
        refuse(not shown, "no_reference")
        refuse(nth > len(shown), "no_entry", count=str(len(shown)))
        return self.by_id[shown[nth - 1 if nth > 0 else nth]]

    def _query(self) -> Query:
        """Return the query of this prompt, merged into the one before if it is a follow-up."""
        reading, previous, said = self.reading, self.before.query, self.reading.said
        fresh = Query(tuple(reading.conditions), None, reading.order, reading.limit)
        if previous is None:
            named = reading.has_type or reading.conditions or reading.order
            counted = reading.props and (reading.do == "count" or reading.props[0] in self.workspace.facets)
            refers = "them" in said or ("also" in said and not reading.has_type)
            refuse(refers or not (named or counted or "anystate" in said), "no_reference")
            return fresh
        follows_up = said & {"them", "also", "only"} or not reading.has_type
        other = reading.props and reading.get("text") and "them" not in said  # "who wrote the one about …"
        if not follows_up or other or ("reset" in said and (reading.conditions or reading.has_type)):
            return fresh
        if "them" in said or ("only" in said and previous.limit):
            kept = tuple(one for one in previous.conditions if one.field == "type" and not reading.get("type"))
            return replace(fresh, conditions=(*kept, *reading.conditions), within=frozenset(self.before.ids))
        self.merged = True
        merged = self._merged(previous)
        if reading.order:
            return replace(merged, order=reading.order, limit=reading.limit)
        return replace(merged, limit=None) if "reset" in said else merged

    def _merged(self, previous: Query) -> Query:
        """Replace the conditions of the query before by the new ones of their kind."""
        reading, said = self.reading, self.reading.said
        gone = {one.field for one in reading.conditions}
        gone |= {"state"} if "anystate" in said else set()
        gone |= {"type"} if "anytype" in said or reading.has_type else set()
        gone |= {"category"} if reading.get("type") else set()
        if gone & {"tag", "text"}:
            gone = gone - {"tag", "text"} if "only" in said else gone | {"tag", "text"}
        kept = (one for one in previous.conditions if one.field not in gone)
        return replace(previous, conditions=(*kept, *reading.conditions))

    def _result(self, query: Query) -> Turn:
        reading = self.reading
        state = query.get("state")
        drafts = "anystate" in reading.said or query.within is not None or (state and "Draft" in state.values)
        if query.order and query.order.field == "date" and not drafts and not reading.sorted_only:
            query = replace(query, order=replace(query.order, field="published"))
        fragment = not (reading.do or reading.props or reading.order or reading.said & {"them", "only", "ones"})
        counts = reading.do == "count" or (fragment and self.merged and self.before.counts)
        items = find(self.workspace, query)
        if query.order and not items and find(self.workspace, replace(query, order=None)):
            raise NotUnderstoodError("no_field", field=self.words.field(query.order.field).lower())
        if counts:
            return self._count(query, items)
        if len(items) == 1 and (reading.props or reading.do == "open"):
            return self._about(items, query)
        refuse(len(items) > _SHOWN_IN_FULL and reading.props and not query.limit)
        return self._list(query, items)

    def _remember(self, answer: str, query: Query, items: list[Item], shown: list[Item]) -> Turn:
        focus = shown[0].id if len(shown) == len(items) == 1 else None
        ids, listed = tuple(item.id for item in items), tuple(item.id for item in shown)
        return Turn(answer, self.reading.language, query, ids, listed, focus)

    def _list(self, query: Query, items: list[Item], *, first: int = 0, count: int = 0) -> Turn:
        subject = self.words.subject(query, len(items))
        if not items:
            return self._remember(self.text("found_none", subject=subject), query, [], [])
        in_full = query.limit or len(items) <= _SHOWN_IN_FULL
        shown = items[first : first + (count or (len(items) if in_full else _FIRST_SHOWN))]
        if first:
            heading = self.text("page", first=first + 1, last=first + len(shown), total=len(items), subject=subject)
        else:
            part = "here_top" if query.limit or len(shown) < len(items) else "here_all"
            order = query.order or Order()
            key = order.field.replace("published", "date") + (">" if order.descending else "<")
            here = self.text("here_one" if len(items) == 1 else part, order=self.words.tables["orders"][key])
            heading = f"{self.text('found', count=len(items), subject=subject)} {here}"
        period = query.get("date")
        year = not (period and period.low and period.high and period.low.year == period.high.year)
        lines = [f"{number}. {self._line(item, query, year=year)}" for number, item in enumerate(shown, first + 1)]
        offer = [self.text("offer")] if len(items) > 1 else []
        return self._remember("\n\n".join([heading, "\n".join(lines), *offer]), query, items, shown)

    def _line(self, item: Item, query: Query, *, year: bool) -> str:
        """Write a line of a list: the title, and the date or number that it is listed for, and what was asked for."""
        ordered = [query.order.field] if query.order else []
        names = [one.field for one in query.conditions if not one.values] + ordered
        facts = [self.words.number(one, item.numbers[one]) for one in dict.fromkeys(names) if one in item.numbers]
        name = next((one for one in reversed(names) if one in item.dates), "date")
        day = item.date(name)
        facts += [self.words.day(day, year=year)] if day and not facts and "when" not in self.reading.props else []
        asked = [one for one in self.reading.props if one not in (*names, "title")]
        facts += [value for one in asked if (value := self._value(item, one))]
        title = f"**{item.title(self.locale)}**"
        return f"{title} ({'; '.join(facts)})" if facts else title

    def _count(self, query: Query, items: list[Item]) -> Turn:
        refuse(self.reading.props)
        subject = self.words.subject(query, len(items))
        types = Counter(item.type for item in items).most_common()
        shares = [f"{count} {self.words.noun(name, many=count > 1)}" for name, count in types]
        split = self.text("split", shares=self.words.join(shares)) if len(shares) > 1 else ""
        key = {0: "count_none", 1: "count_one"}.get(len(items), "count_many")
        answer = self.text(key, count=len(items), subject=subject, split=split)
        return replace(self._remember(answer, query, items, []), counts=True)

    def _about(self, items: list[Item], query: Query | None = None) -> Turn:
        """Answer about single items: what was asked for, else everything."""
        reading, before = self.reading, self.before
        counted = reading.do == "count" and not reading.props
        refuse(counted or (not query and (reading.order or reading.get("text"))))
        names = self._asked(items, named=query is None)
        refuse(len(items) > 1 and not names, "two_questions")
        lines = [self._fact(item, name) for item in items for name in names] or [self._details(items[0])]
        answer, ids = "\n".join(dict.fromkeys(lines)), tuple(item.id for item in items)
        if query is None and before.query and set(ids) <= set(before.ids):
            return replace(before, answer=answer, focus=ids[0])
        focus = ids[0] if len(ids) == 1 else None
        return Turn(answer, reading.language, query or Query(within=frozenset(ids)), ids, ids, focus)

    def _asked(self, items: list[Item], *, named: bool) -> list[str]:
        """Return the properties that were asked for, or that a condition on named items is about."""
        reading = self.reading
        names = [*reading.props]
        about = {one.field for one in reading.conditions} - {"type", "text", *names} if named else set()
        shown = all(self.locale in item.titles for item in items)
        if "title" in names or (shown and (reading.do in ("open", "list") or "also" in reading.said)):
            about -= {"locale"}
        if "when" in names:
            about -= {"state"}
        return [*names, *sorted(about)]

    def _value(self, item: Item, name: str) -> str:
        if name == "title":
            return item.title(self.locale)
        name = "published" if name == "when" else name
        if day := item.date(name):
            return self.words.day(day)
        if name in item.numbers:
            return self.words.number(name, item.numbers[name])
        return self.words.join([self.words.name(name, one) for one in item.facets.get(name, ())])

    def _fact(self, item: Item, name: str) -> str:
        name = "published" if name in ("when", "date") else name
        if name in ("published", "state") and item.facets["state"] == ("Draft",):
            name = "draft"
        value = self._value(item, "updated" if name == "draft" else name)
        title, field_name = item.title(self.reading.language), self.words.field(name)
        key = f"fact_{name}" if value else "fact_none"
        key = key if key in self.words.tables["text"] else "fact_other"
        return self.text(key, title=title, value=value, field=field_name, lower=field_name.lower())

    def _details(self, item: Item) -> str:
        names = [*dict.fromkeys(["type", "state", "author", "tag", *item.facets, *item.numbers, *sorted(item.dates)])]
        rows = [f"- {self.words.field(name)}: {value}" for name in names if (value := self._value(item, name))]
        text = item.texts.get(item.locale(self.locale), "")
        return "\n\n".join(part for part in (f"**{item.title(self.locale)}**", text, "\n".join(rows)) if part)
