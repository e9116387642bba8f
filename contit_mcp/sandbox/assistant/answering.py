"""Carries out a task: looks up what it needs and puts it together in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from contit_mcp.sandbox.assistant.search import count_by, find
from contit_mcp.sandbox.assistant.task import Context

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Item
    from contit_mcp.sandbox.assistant.phrasing.phrases import Phrases
    from contit_mcp.sandbox.assistant.query import Dimension, Locale, Query
    from contit_mcp.sandbox.assistant.task import Task
    from contit_mcp.sandbox.assistant.workspace import Workspace

LISTED_WHOLE: Final = 10
"""Lists up to this long are given whole, and so are those whose length was asked for."""
SAMPLE: Final = 3
"""Of longer ones so many are given at first, as in the vendor's example."""
PAGE: Final = 10
"""So many follow when more is asked for."""


@dataclass(frozen=True)
class Answering:
    """Answers one task in one language, and says what a follow-up can lean on."""

    workspace: Workspace
    phrases: Phrases
    context: Context

    def answer(self, task: Task) -> tuple[str, Context]:
        """Return the answer and the conversation's new context."""
        context = replace(self.context, language=self.phrases.language)
        match task.action:
            case "list" | "page":
                return self._list(task, context)
            case "count":
                return self._count(task, context)
            case "groups":
                return self._groups(task, context)
            case "average":
                return self._average(task, context)
            case "details" | "facts":
                return self._items(task, context)
            case "no_such_entry":
                return self.phrases.no_such_entry(len(context.ids)), context
            case "not_understood":
                return self._with_examples(self.phrases.not_understood(task.unknown)), context
            case "greeting" | "help":
                return self._with_examples(self.phrases.remark(task.action)), context
            case action:
                return self.phrases.remark(action), context

    def _list(self, task: Task, context: Context) -> tuple[str, Context]:
        items = find(self.workspace, task.query)
        if task.query.limit == 1 and items and task.attributes - {"date", "price", "body"}:
            return self._facts(items, task, self._remember(context, task.query, items, shown=1))
        page = items[task.first : _end_of_page(task, len(items))]
        context = self._remember(context, task.query, items, shown=task.first + len(page))
        if not items:
            return self.phrases.found_none(task.query), context
        heading = (
            self.phrases.continued(task.query, task.first + 1, task.first + len(page), len(items))
            if task.first
            else self.phrases.found(task.query, len(items), whole=len(page) == len(items))
        )
        rows = [f"{number}. {self._entry(item, items, task)}" for number, item in enumerate(page, task.first + 1)]
        parts = [heading, "\n".join(rows)]
        parts += self._remarks(task.query, items)
        parts.append(self.phrases.offer(len(items), more=task.first > 0 and task.first + len(page) < len(items)))
        return "\n\n".join(parts), context

    def _remarks(self, query: Query, items: list[Item], dimension: Dimension | None = None) -> list[str]:
        """Say by which date drafts count, where both drafts and published items count by their dates."""
        dated = (query.period and not query.date_field) or dimension in {"month", "year"}
        mixed = not query.state and any(item.state == "Draft" for item in items)
        return [self.phrases.drafts_dated()] if dated and mixed else []

    def _entry(self, item: Item, items: list[Item], task: Task) -> str:
        query = task.query
        by = (
            query.order.key if query.order and query.order.key in {"updated", "created"} else query.date_field or "date"
        )
        year = query.period is None or len({i.date.year for i in items}) > 1
        typed = len(query.types) != 1 and len({i.type for i in items}) > 1
        price = f" — {self.phrases.money(item.price)}" if item.price is not None else ""
        extra = "".join(f"; {text}" for text in self._asked(item, task))
        note = self.phrases.note(item, year=year, typed=typed, by=by)
        return f"**{self._title(item, self._locale(query))}**{price} ({note}{extra})"

    def _asked(self, item: Item, task: Task) -> list[str]:
        texts: list[str] = []
        if "author" in task.attributes:
            texts.append(item.author)
        if "tags" in task.attributes:
            texts.append(", ".join(self.phrases.value("tag", tag) for tag in item.tags))
        if "locales" in task.attributes:
            texts.append(", ".join(self.phrases.value("locale", locale) for locale in item.translations))
        if "category" in task.attributes and item.category:
            texts.append(self.phrases.value("category", item.category))
        if "id" in task.attributes:
            texts.append(f"`{item.id}`")
        return texts

    def _count(self, task: Task, context: Context) -> tuple[str, Context]:
        items = find(self.workspace, task.query)
        context = replace(self._remember(context, task.query, items, shown=0), wanted="count")
        dimension = _dividing(task.query, items)
        parts = count_by(items, dimension) if dimension else []
        sentence = self.phrases.counted(task.query, len(items), parts, dimension)
        return " ".join([sentence, *self._remarks(task.query, items)]), context

    def _groups(self, task: Task, context: Context) -> tuple[str, Context]:
        items = find(self.workspace, task.query)
        dimension: Dimension = task.dimension or "type"
        groups = count_by(items, dimension)
        context = self._remember(context, task.query, items, shown=0)
        if not groups:
            return self.phrases.found_none(task.query), context
        if len(items) == 1 and task.attributes:
            return self._facts(items, task, context)
        if task.extreme:
            most = task.extreme == "most"
            count = (max if most else min)(number for _, number in groups)
            names = [self.phrases.value(dimension, value) for value, number in groups if number == count]
            sentence = self.phrases.extreme(task.query, names, count, dimension, most=most)
            return " ".join([sentence, *self._remarks(task.query, items, dimension)]), context
        rows = [f"- **{self.phrases.value(dimension, value)}**: {number}" for value, number in groups]
        heading = self.phrases.grouped(task.query, len(items), len(groups), dimension)
        return "\n\n".join([heading, "\n".join(rows), *self._remarks(task.query, items, dimension)]), context

    def _average(self, task: Task, context: Context) -> tuple[str, Context]:
        items = find(self.workspace, task.query)
        context = self._remember(context, task.query, items, shown=0)
        prices = [item.price for item in items if item.price is not None]
        if not prices:
            return self.phrases.found_none(task.query), context
        average = sum(prices) / len(prices)
        return self.phrases.average(task.query, len(prices), average, min(prices), max(prices)), context

    def _items(self, task: Task, context: Context) -> tuple[str, Context]:
        items = [self.workspace.items[item_id] for item_id in task.ids]
        if task.action == "facts":
            return self._facts(items, task, context)
        focus = items[0].id if len(items) == 1 else None
        return "\n\n".join(self._details(item, task.locale) for item in items), replace(context, focus=focus)

    def _facts(self, items: list[Item], task: Task, context: Context) -> tuple[str, Context]:
        names = sorted(task.attributes)
        lines = [self.phrases.fact(item, self._title(item), name) for item in items for name in names]
        focus = items[0].id if len(items) == 1 else None
        return "\n".join(dict.fromkeys(lines)), replace(context, focus=focus)

    def _details(self, item: Item, locale: Locale | None) -> str:
        if locale and locale not in item.translations:
            return self.phrases.not_in(self._title(item), locale)
        text = item.in_locale(*([locale] if locale else []), self.phrases.language, "en")
        rows = "\n".join(f"- {name}: {value}" for name, value in self.phrases.details(item))
        return f"**{text.title}**\n\n{text.body}\n\n{rows}"

    def _remember(self, context: Context, query: Query, items: list[Item], *, shown: int) -> Context:
        ids = tuple(item.id for item in items)
        return replace(context, query=query, wanted="list", ids=ids, shown=shown, focus=None)

    def _title(self, item: Item, locale: Locale | None = None) -> str:
        return item.in_locale(*([locale] if locale else []), self.phrases.language, "en").title

    def _locale(self, query: Query) -> Locale | None:
        if query.only_locale:
            return query.only_locale
        chosen = query.locales
        return chosen.values[0] if chosen and len(chosen.values) == 1 else None  # type: ignore[return-value]

    def _with_examples(self, sentence: str) -> str:
        rows = "\n".join(f"- {example}" for example in self.phrases.examples)
        return f"{sentence} {self.phrases.try_these()}\n\n{rows}"


def _end_of_page(task: Task, count: int) -> int:
    if task.first:
        return task.first + PAGE
    whole = task.whole or count <= LISTED_WHOLE or task.query.limit is not None
    return count if whole else SAMPLE


def _dividing(query: Query, items: list[Item]) -> Dimension | None:
    """Return what a count is best divided by: what the question names several of, else the state."""
    candidates: list[Dimension] = []
    if len(query.types) > 1 or (not query.types and not query.categories):
        candidates.append("type")
    if len(query.categories) > 1:
        candidates.append("category")
    if len(query.authors) > 1:
        candidates.append("author")
    if query.state is None:
        candidates.append("state")
    return next((name for name in candidates if len(count_by(items, name)) > 1), None)
