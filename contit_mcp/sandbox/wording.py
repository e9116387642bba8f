"""Words results: names, numbers, dates, and the description of a query, by the templates of a lexicon."""

from __future__ import annotations

from datetime import date
from typing import Any

from contit_mcp.sandbox.content import Item, Workspace
from contit_mcp.sandbox.dates import month_span
from contit_mcp.sandbox.lexicon import lexicon, spaced
from contit_mcp.sandbox.query import Condition, Order, Query


class Words:
    """Words results about a workspace in one language."""

    def __init__(self, workspace: Workspace, language: str) -> None:
        self.workspace = workspace
        self.language = language
        self.lexicon = lexicon(language)
        self.text = self.lexicon.text
        self._tables = self.lexicon.tables
        self._patterns: dict[str, str] = self._tables["conditions"]
        self._months: list[str] = self._tables["dates"]["months"].split(", ")

    def quote(self, text: str) -> str:
        """Put a text in quotation marks."""
        return self._patterns["quote"].format(text)

    def join(self, parts: list[str], word: str = "and") -> str:
        """Join parts by commas, and the last by a word."""
        last = f" {self._patterns[word]} {parts[-1]}" if parts[1:] else "".join(parts)
        return ", ".join(parts[:-1]) + last

    def field(self, name: str) -> str:
        """Return the name of a field."""
        return str(self._tables["fields"].get(name, spaced(name)))

    def noun(self, name: str, *, many: bool) -> str:
        """Return the noun of a type."""
        if name in self._tables["nouns"]:
            return str(self._tables["nouns"][name]).split("|")[many].strip()
        word = self._tables["names"].get(spaced(name), spaced(name)).split(",")[0]
        rules = (rule.partition(">") for rule in self._tables["plural"])
        endings = (word.removesuffix(old) + new for old, _, new in rules if many and word.endswith(old))
        return str(next(endings, word))

    def _state(self, name: str, types: tuple[str, ...], *, many: bool) -> str:
        """Return the adjective of a state in the form that fits the noun."""
        forms = self._tables["states"].get(name, spaced(name)).split("|")
        feminine = len(types) == 1 and self._tables["nouns"].get(types[0], "").endswith("| f")
        return str(forms[min(many + 2 * feminine, len(forms) - 1)]).strip()

    def name(self, facet: str, value: str) -> str:
        """Return the name of a value."""
        if facet == "locale":
            return str(self._tables["languages"].get(value, value)).split(",")[0]
        if facet == "month":
            month = self._months[int(value[5:7]) - 1]
            return str(self._tables["dates"]["month"]).format(month=month, year=value[:4])
        if facet == "type":
            return self.noun(value, many=False)
        return (
            self._state(value, (), many=False) if facet == "state" else self.workspace.name(facet, value, self.language)
        )

    def day(self, day: date, *, year: bool = True) -> str:
        """Write a day."""
        pattern = str(self._tables["dates"]["day" if year else "day_in_year"])
        return pattern.format(day=day.day, month=self._months[day.month - 1], year=day.year)

    def number(self, name: str, value: float) -> str:
        """Write a number with its unit."""
        unit = self.workspace.units.get(name)
        amount = f"{value:.2f}" if unit or value % 1 else f"{value:.0f}"
        amount = amount.replace(".", self._tables["decimal"])
        return self._patterns["money"].format(unit=unit, amount=amount) if unit else amount

    def order(self, order: Order) -> str:
        """Name an order."""
        sign = ">" if order.descending else "<"
        name = "date" if order.field == "published" else order.field
        orders: dict[str, str] = self._tables["orders"]
        return orders.get(name + sign, orders["other" + sign]).format(field=self.field(order.field))

    def values(self, item: Item, name: str) -> str:
        """Return a property of an item; empty if it has none."""
        if day := item.date(name):
            return self.day(day)
        if name in item.numbers:
            return self.number(name, item.numbers[name])
        return self.join([self.name(name, one) for one in item.facets.get(name, ())])

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
        if condition.mode == "range":
            return self._range(condition)
        names = [self.name(condition.field, one) for one in condition.values]
        if condition.field in ("tag", "category", "text", "title"):
            names = [self.quote(one) for one in names]
        joined = self.join(names, "or" if condition.mode == "any" else "and")
        key = f"only_{condition.field}" if condition.mode == "only" else condition.field
        key = f"not_{key}" if condition.negated else key
        other = "not_other" if condition.negated else "other"
        return self._patterns.get(key, self._patterns[other]).format(joined, field=self.field(condition.field).lower())

    def _range(self, condition: Condition) -> str:
        low, high = condition.low, condition.high
        if not isinstance(low or high, (int, float)):
            return self._patterns.get(f"period_{condition.field}", "{}").format(self._period(low, high))
        bounds: list[Any] = [None if one is None else self.number(condition.field, one) for one in (low, high)]
        key = "equal" if low == high else "range"
        if high is None:
            key = "over" if condition.strict else "at_least"
        elif low is None:
            key = "under" if condition.strict else "at_most"
        return self._patterns[key].format(*bounds, field=self.field(condition.field).lower())

    def _period(self, start: date | None, end: date | None) -> str:
        """Describe a period, as a day, a month or a year where it is one."""
        patterns: dict[str, str] = self._tables["dates"]
        ends = [self.day(one) if one else "" for one in (start, end)]
        if start is None or end is None:
            return patterns["since" if start else "until"].format(*ends)
        if start == end:
            return patterns["on"].format(ends[0])
        if (start, end) == month_span(start.year, start.month):
            return patterns["in"].format(self.name("month", start.isoformat()))
        if (start, end) == month_span(start.year, 1, 12):
            return patterns["in"].format(start.year)
        return patterns["between"].format(*ends)

    def refusal(self, key: str, values: dict[str, str | list[str]]) -> str:
        """Say why a prompt was not understood, with examples of what is."""
        named: dict[str, str] = {}
        for name, value in values.items():
            kind = {"locale": "locale", "locales": "locale", "language": "locale"}.get(name, "author")
            names = [self.name(kind, one) for one in (value if isinstance(value, list) else [value])]
            named[name] = self.join([self.quote(one) for one in names] if name == "words" else names)
        if "field" in named:
            named["field"] = self.field(named["field"]).lower()
        return f"{self.text(key, **named)} {self.examples()}"

    def examples(self) -> str:
        """List questions that can be answered about any content."""
        return "\n".join([self.text("examples"), "", *(f"- {one}" for one in self._tables["examples"])])

    def shared(self, state: str, count: int) -> str:
        """Return the name of a state behind a count: "12 drafts"."""
        forms = self._tables["shares"].get(state, spaced(state)).split("|")
        return str(forms[min(count > 1, len(forms) - 1)]).strip()
