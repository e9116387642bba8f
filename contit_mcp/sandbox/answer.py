"""Answers a prompt: merges what it says with the turn before, runs the query, and words the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.query import TIMES, Order, Query, count_by, find
from contit_mcp.sandbox.reader import NotUnderstoodError, Reader, Reading
from contit_mcp.sandbox.wording import Words

_SHOWN_IN_FULL: Final = 11
"""Lists up to this length are shown in full; of longer ones the first three, as in the vendor's example."""
_FIRST_SHOWN: Final = 3
_PAGE: Final = 10
_MOST_SHOWN: Final = 200


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
    asked: tuple[str, str, str] = ("", "", "")
    """What was asked of the items: count or an average, what to count by, the most or the fewest."""
    understood: bool = field(default=True)


class Assistant:
    """Answers questions about one workspace, each turn of a conversation from the turn before."""

    def __init__(self, workspace: Workspace, today: date) -> None:
        self.workspace = workspace
        self.reader = Reader(workspace, today)

    def reply(self, prompt: str, before: Turn | None) -> Turn:
        """Answer a prompt."""
        before = before or Turn("")
        language = before.language or "en"
        try:
            language = self.reader.language(prompt, before.language)
            reading = Reading(self.reader, prompt, language)
            turn = _Answer(self, reading, before).turn()
        except NotUnderstoodError as exc:
            refusal = Words(self.workspace, language).refusal(exc.key, exc.values)
            return replace(before, answer=refusal, language=language, understood=False)
        notes = [reading.lexicon.text("typo", written=written, meant=meant) for written, meant in reading.typos]
        return replace(turn, answer="\n\n".join([turn.answer, *notes]), language=language, understood=True)


class _Answer:
    """The answer to one reading."""

    def __init__(self, assistant: Assistant, reading: Reading, before: Turn) -> None:
        self.workspace, self.by_id = assistant.workspace, assistant.reader.by_id
        self.reading, self.before = reading, before
        self.words = Words(assistant.workspace, reading.language)
        self.merged = False
        """Whether the query is a follow-up, which asks for the same of other items."""
        self.text = self.words.text
        locale = reading.get("locale")
        self.locale = locale.values[0] if locale and not locale.negated and not locale.values[1:] else reading.language

    def turn(self) -> Turn:
        """Decide what is asked for, and answer it."""
        reading, before = self.reading, self.before
        if reading.small_talk:
            return self._small_talk(reading.small_talk)
        if reading.nth is not None:
            return self._about([self._entry(reading.nth)])
        if reading.items:
            return self._about(reading.items)
        fields = {one.field for one in reading.conditions}
        focus = before.focus or (before.ids[0] if len(before.ids) == 1 and "it" in reading.said else None)
        kind = reading.get("type")
        same = focus and reading.props and kind and self.by_id[focus].type in kind.values  # "who wrote the article?"
        wide = (
            (reading.noun and not same)
            or "them" in reading.said
            or reading.order
            or reading.each
            or reading.do == "count"
        )
        asks = reading.props or reading.do == "open" or (fields == {"locale"} and "only" not in reading.said)
        if not wide and focus and (asks or "it" in reading.said) and fields <= {"locale", "state", "type"}:
            return self._about([self.by_id[focus]])
        if not wide and "it" in reading.said:
            raise NotUnderstoodError("no_reference")
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
        first = 0
        if kind == "more":
            first = before.ids.index(before.shown[-1]) + 1 if before.shown else 0
            if first >= len(items):
                return replace(before, answer=self.text("no_more"))
        return self._list(before.query, items, first=first, count=_PAGE if kind == "more" else _MOST_SHOWN)

    def _entry(self, nth: int) -> Item:
        """Return an entry of the last list."""
        shown = self.before.shown or self.before.ids
        if not shown:
            raise NotUnderstoodError("no_reference")
        if nth == 0 or nth > len(shown):
            raise NotUnderstoodError("no_entry", count=str(len(shown)))
        return self.by_id[shown[nth - 1 if nth > 0 else nth]]

    # The query

    def _query(self) -> Query:
        """Return the query of this prompt, merged into the one before if it is a follow-up."""
        reading, previous, said = self.reading, self.before.query, self.reading.said
        fresh = Query(tuple(reading.conditions), None, reading.order, reading.limit, reading.skip)
        if previous is None:
            named = reading.noun or reading.conditions or reading.order or reading.each
            counted = reading.props and (reading.do == "count" or reading.props[0] in self.workspace.facets)
            if "them" in said or ("also" in said and not reading.noun) or not (named or counted or "anystate" in said):
                raise NotUnderstoodError("no_reference")
            return fresh
        leans = said & {"them", "also", "only"} or not reading.noun
        if not leans or ("reset" in said and (reading.conditions or reading.noun)):
            return fresh
        if reading.props and {"text", "title"} & {one.field for one in reading.conditions} and "them" not in said:
            return replace(
                fresh, conditions=(*fresh.conditions, *filter(None, [previous.get("type")]))
            )  # "who wrote the one about …"
        if "them" in said or ("only" in said and previous.limit):
            kept = tuple(one for one in previous.conditions if one.field == "type" and not reading.get("type"))
            return replace(fresh, conditions=(*kept, *reading.conditions), within=frozenset(self.before.ids))
        self.merged = True
        merged = self._merged(previous)
        if reading.order:
            return replace(merged, order=reading.order, limit=reading.limit, skip=reading.skip)
        return replace(merged, limit=None, skip=0) if "reset" in said else merged

    def _merged(self, previous: Query) -> Query:
        """Replace the conditions of the query before by the new ones of their kind."""
        reading, said = self.reading, self.reading.said
        gone = {one.field for one in reading.conditions}
        gone |= {"state"} if "anystate" in said else set()
        gone |= {"type"} if "anytype" in said or reading.noun else set()
        gone |= {"category"} if reading.get("type") else set()
        if gone & {"tag", "text", "title"}:
            gone = gone - {"tag", "text"} if "only" in said else gone | {"tag", "text", "title"}
        new = Query(tuple(reading.conditions))
        state, period, earlier = reading.get("state"), new.period, previous.period
        if earlier and period and period.field == "date" and not reading.date_field:
            new = replace(
                new.without({"date"}),
                conditions=(*new.without({"date"}).conditions, replace(period, field=earlier.field)),
            )
        elif earlier and not period and earlier.field == "published" and state and "Draft" in state.values:
            gone.add("published")
            new = replace(new, conditions=(*new.conditions, replace(earlier, field="date")))
        gone |= {earlier.field} if earlier and period else set()
        return replace(previous, conditions=(*previous.without(gone).conditions, *new.conditions))

    # Answers about many items

    def _result(self, query: Query) -> Turn:
        reading = self.reading
        state = query.get("state")
        drafts = "anystate" in reading.said or query.within is not None or (state and "Draft" in state.values)
        if query.order and query.order.field == "date" and not drafts and not reading.sorted_only:
            query = replace(query, order=replace(query.order, field="published"))
        asked = (reading.do if reading.do in ("count", "average", "sum") else "", reading.each, reading.extreme)
        fragment = not (reading.do or reading.props or reading.order or reading.said & {"them", "only", "ones"})
        if fragment and not any(asked) and self.merged:
            asked = self.before.asked
        items = find(self.workspace, query)
        if query.order and not items and find(self.workspace, replace(query, order=None)):
            raise NotUnderstoodError("no_field", field=query.order.field)
        turn = self._asked_of(query, items, *asked)
        return replace(turn, asked=asked)

    def _asked_of(self, query: Query, items: list[Item], do: str, each: str, extreme: str) -> Turn:
        reading = self.reading
        facets = [one for one in reading.props if one in self.workspace.facets or one in TIMES]
        if do in ("average", "sum"):
            return self._arithmetic(query, items, do, each)
        if each or (do == "count" and facets):
            return self._counts(query, items, each or facets[0], extreme)
        if do == "count":
            return self._count(query, items)
        if reading.props or reading.do == "open":
            if len(items) == 1:
                return self._about(items, query)
            alone = items and facets == reading.props and len(facets) == 1 and not query.limit and not reading.topical
            if (
                alone
                and self.reading.noun_text == self.words.noun(items[0].type, many=False)
                and not query.conditions[1:]
            ):
                raise NotUnderstoodError("no_reference")  # "who wrote the article?"
            if alone and (not query.order or reading.sorted_only):
                return self._counts(query, items, facets[0], "")
            if len(items) > _SHOWN_IN_FULL and not query.limit and reading.props:
                raise NotUnderstoodError
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
        heading = self.text("page", first=first + 1, last=first + len(shown), total=len(items), subject=subject)
        if not first:
            key = (
                "here_one" if len(items) == 1 else "here_top" if query.limit or len(shown) < len(items) else "here_all"
            )
            order = self.words.order(query.order or Order())
            heading = f"{self.text('found', count=len(items), subject=subject)} {self.text(key, order=order)}"
        period = query.period
        one_year = period is not None and period.low and period.high and period.low.year == period.high.year
        lines = [
            f"{number}. {self._line(item, query, year=not one_year)}" for number, item in enumerate(shown, first + 1)
        ]
        offer = [self.text("offer")] if len(items) > 1 else []
        return self._remember("\n\n".join([heading, "\n".join(lines), *offer]), query, items, shown)

    def _line(self, item: Item, query: Query, *, year: bool) -> str:
        """Write a line of a list: the title, and the date or number that it is listed for, and what was asked for."""
        ordered = [query.order.field] if query.order else []
        names = [one.field for one in query.conditions if one.mode == "range"] + ordered
        facts = [self.words.number(one, item.numbers[one]) for one in dict.fromkeys(names) if one in item.numbers]
        name = next((one for one in reversed(names) if one in item.dates), "date")
        day = item.date(name)
        facts += [self.words.day(day, year=year)] if day and not facts and "when" not in self.reading.props else []
        asked = [one for one in self.reading.props if one not in (*names, "title")]
        facts += [value for one in asked if (value := self._value(item, one))]
        title = f"**{item.title(self.locale)}**"
        return f"{title} ({'; '.join(facts)})" if facts else title

    def _count(self, query: Query, items: list[Item]) -> Turn:
        subject = self.words.subject(query, len(items))
        parts = count_by(items, "type")
        shares = [f"{count} {self.words.noun(name, many=count > 1)}" for name, count in parts]
        if len(parts) == 1 and not query.get("state"):
            shares = [f"{count} {self.words.shared(name, count)}" for name, count in count_by(items, "state")]
        split = self.text("split", shares=self.words.join(shares)) if len(shares) > 1 else ""
        key = {0: "count_none", 1: "count_one"}.get(len(items), "count_many")
        return self._remember(self.text(key, count=len(items), subject=subject, split=split), query, items, [])

    def _counts(self, query: Query, items: list[Item], facet: str, extreme: str) -> Turn:
        """Count the items by a facet; of "the most" or "the fewest" name the values that share it."""
        counts = count_by(items, facet)
        chosen = query.get(facet)
        if chosen and not chosen.negated and chosen.values[1:]:
            counts = sorted(((one, dict(counts).get(one, 0)) for one in chosen.values), key=lambda pair: -pair[1])
        subject = self.words.subject(query, 2)
        if not counts:
            answer = self.text("found_none", subject=subject)
        elif extreme:
            bound = (max if extreme == ">" else min)(count for _, count in counts)
            names = [f"**{self.words.name(facet, name)}**" for name, count in counts if count == bound]
            key = "extreme_most" if extreme == ">" else "extreme_fewest"
            answer = self.text(key, names=self.words.join(names), count=bound, subject=subject)
        else:
            lines = [f"- {self.words.name(facet, name)}: {count}" for name, count in counts]
            heading = self.text("groups", field=self.words.field(facet), count=len(counts), subject=subject)
            answer = "\n".join([heading, "", *lines])
        return self._remember(answer, query, items, [])

    def _arithmetic(self, query: Query, items: list[Item], do: str, each: str) -> Turn:
        """Answer with an average or a sum of a number field."""
        name = next((one for one in self.reading.props if one in self.workspace.numbers), "price")
        having = [item for item in items if name in item.numbers]
        if each or set(self.reading.props) - {name} or not having or (len(having) < len(items) and query.get("type")):
            raise NotUnderstoodError("no_field", field=name)
        values = [item.numbers[name] for item in having]
        result = sum(values) / (len(values) if do == "average" else 1)
        numbers = [self.words.number(name, one) for one in (result, min(values), max(values))]
        known = dict(zip(("value", "low", "high"), numbers, strict=True))
        subject = self.words.subject(query, len(values))
        answer = self.text(do, field=self.words.field(name).lower(), count=len(values), subject=subject, **known)
        return self._remember(answer, query, having, [])

    # Answers about single items

    def _about(self, items: list[Item], query: Query | None = None) -> Turn:
        """Answer about single items: what was asked for, else everything."""
        reading, before = self.reading, self.before
        plain = reading.do in ("", "list", "open", "difference") or reading.props
        if (
            not plain
            or reading.each
            or (reading.order and not query)
            or "text" in {one.field for one in reading.conditions if not query}
        ):
            raise NotUnderstoodError
        names = self._asked(items, named=query is None)
        if len(items) > 1 and not names:
            raise NotUnderstoodError("two_questions")
        lines = [self._fact(item, name) for item in items for name in names] or [self._details(items[0])]
        prices = [item.numbers["price"] for item in items if "price" in item.numbers]
        if reading.do == "difference" and len(prices) == len(items) > 1:
            lines.append(self.text("difference", value=self.words.number("price", max(prices) - min(prices))))
        answer, ids = "\n".join(dict.fromkeys(lines)), tuple(item.id for item in items)
        if query is None and before.query and set(ids) <= set(before.ids):
            return replace(before, answer=answer, focus=ids[0])
        return Turn(
            answer, reading.language, query or Query(within=frozenset(ids)), ids, ids, ids[0] if len(ids) == 1 else None
        )

    def _asked(self, items: list[Item], *, named: bool) -> list[str]:
        """Return the properties that were asked for, or that a condition on named items is about."""
        reading = self.reading
        names = [*reading.props] or (["price"] if reading.do == "difference" else [])
        about = {one.field for one in reading.conditions} - {"type", "text", "title", *names} if named else set()
        shown = all(self.locale in item.titles for item in items)
        if "title" in names or (shown and (reading.do in ("open", "list") or "also" in reading.said)):
            about -= {"locale"}
        if "when" in names:
            about -= {"state"}
        return [*names, *sorted(about)]

    def _value(self, item: Item, name: str) -> str:
        """Return a property of an item; empty if it has none."""
        if name == "title":
            return item.title(self.locale)
        if name == "when":
            name = self.reading.date_field or "published"
        return self.words.values(item, name)

    def _fact(self, item: Item, name: str) -> str:
        """Write a sentence about a property of an item."""
        name = (self.reading.date_field or "published") if name == "when" else "published" if name == "date" else name
        value = self._value(item, name)
        if name in ("published", "state") and item.facets["state"] == ("Draft",):
            name, value = "draft", self._value(item, "updated")
        elif name == "state" and item.facets["state"] == ("Published",) and item.date("published"):
            name, value = "published", self._value(item, "published")
        title, field_name = item.title(self.reading.language), self.words.field(name)
        key = f"fact_{name}" if value else "fact_none"
        key = key if key in self.words.lexicon.tables["text"] else "fact_other"
        return self.text(key, title=title, value=value, field=field_name, lower=field_name.lower())

    def _details(self, item: Item) -> str:
        """Write everything about an item."""
        names = [*dict.fromkeys(["type", "state", "author", "tag", *item.facets, *item.numbers, *sorted(item.dates)])]
        rows = [f"- {self.words.field(name)}: {value}" for name in names if (value := self._value(item, name))]
        text = item.texts.get(item.locale(self.locale), "")
        return "\n\n".join(part for part in (f"**{item.title(self.locale)}**", text, "\n".join(rows)) if part)
