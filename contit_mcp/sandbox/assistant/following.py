"""Sees a question in its conversation: what "it", "them", "only drafts" and "the second one" mean there."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final, cast

from contit_mcp.sandbox.assistant.query import Choice, Order, Query
from contit_mcp.sandbox.assistant.task import Action, Context, Task

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Attribute
    from contit_mcp.sandbox.assistant.query import Dimension, Locale
    from contit_mcp.sandbox.assistant.reading.question import Question, Wanted

_QUOTED: Final = 5
"""So many parts that were not understood are named."""
_DIMENSIONS: Final[dict[Attribute, Dimension]] = {
    "author": "author",
    "tags": "tag",
    "locales": "locale",
    "state": "state",
    "category": "category",
    "type": "type",
}
"""What to count by when a property of many items is asked for."""


def plan(question: Question, context: Context) -> Task:
    """Decide what to answer."""
    if question.talk:
        return _talk(question, context)
    if question.elliptic and not question.has_noun and context.query is not None:
        question = replace(question, refers=question.refers if question.refers == "them" else "only")
    if question.unknown:
        return Task("not_understood", unknown=question.unknown[:_QUOTED])
    if question.named:
        return _about(question.named, question)
    if question.picks:
        return _picked(question, context)
    if _speaks_of_focus(question, context):
        item = _focus(context)
        return _about((item,), question) if item else Task("nothing_before")
    if question.is_empty() or (question.details and question.query.is_empty() and not question.has_noun):
        return _more_about(question, context)
    return _about_many(question, context)


def _talk(question: Question, context: Context) -> Task:
    match question.talk:
        case "yes":
            item = _focus(context)
            if item:
                return Task("details", ids=(item,))
            return Task("which_one" if context.ids else "help")
        case "no":
            return Task("goodbye")
        case "more" | "all" if context.query is None:
            return Task("nothing_before")
        case "more":
            done = context.shown >= len(context.ids)
            return Task("that_was_all") if done else Task("page", context.query or Query(), first=context.shown)
        case "all":
            return Task("list", context.query or Query(), whole=True)
        case talk:
            return Task(cast("Action", talk))


def _speaks_of_focus(question: Question, context: Context) -> bool:
    if question.refers == "them" or question.dimension or question.extreme:
        return False
    if question.focus and not question.has_noun:
        return True
    if question.the_one and question.asked and not question.wanted_said and question.query.order is None:
        return not question.query.narrowing() - {"types", "state"}
    alone = not question.query.narrowing() - {"locales", "state"} and not question.has_noun
    leans = (question.refers == "and" or question.terse) and not question.wanted_said
    return _focus(context) is not None and alone and leans and bool(question.asked or question.query.locales)


def _focus(context: Context) -> str | None:
    if context.focus:
        return context.focus
    return context.ids[0] if len(context.ids) == 1 else None


def _about(ids: tuple[str, ...], question: Question) -> Task:
    """Answer about certain items: what is asked of them, else everything, in the language that was named."""
    chosen = question.query.locales
    locale = cast("Locale", chosen.values[0]) if chosen and len(chosen.values) == 1 else None
    asked = question.asked
    if asked and not (asked == {"body"} or question.details):
        return Task("facts", ids=ids, attributes=asked)
    return Task("details", ids=ids, locale=locale)


def _picked(question: Question, context: Context) -> Task:
    if not context.ids or (question.query.types and not _same_types(question.query, context.query)):
        upto = tuple(range(1, len(question.picks) + 1))
        if question.has_noun and question.picks == upto:
            oldest = replace(question.query, order=Order("date", descending=False), limit=len(upto))
            return _about_many(replace(question, query=oldest, picks=()), context)
        return Task("nothing_before")
    count = context.shown or len(context.ids)
    numbers = [number or count for number in question.picks]
    if max(numbers) > len(context.ids):
        return Task("no_such_entry")
    return _about(tuple(context.ids[number - 1] for number in numbers), question)


def _same_types(query: Query, before: Query | None) -> bool:
    return before is not None and (not before.types or set(query.types) <= set(before.types))


def _more_about(question: Question, context: Context) -> Task:
    """Answer "tell me more" and other questions that name nothing."""
    item = _focus(context)
    if question.details and item:
        return Task("details", ids=(item,))
    listing = question.elliptic or (question.refers == "them" and (not question.details or not context.shown))
    if listing and context.query is not None:
        return Task("list", context.query)
    if question.details and context.ids:
        return Task("which_one")
    return Task("not_understood")


def _about_many(question: Question, context: Context) -> Task:
    query = _in_context(question, context)
    if query is None:
        return Task("nothing_before")
    by_price = query.order is not None and query.order.key == "price"
    if (by_price or question.wanted == "average") and query.types and "Product" not in query.types:
        return Task("not_understood")  # of all things only products have prices
    if question.wanted == "average":
        return Task("average", replace(query, types=("Product",)))
    if ("price" in question.asked or by_price) and not query.types:
        query = replace(query, types=("Product",))
    query = _published_if_newest(query, question)
    groups = [_DIMENSIONS[name] for name in question.asked if name in _DIMENSIONS]
    if query.authors:
        groups = [name for name in groups if name != "author"]  # "who is Anna Weber?"
    dimension = question.dimension or (groups[0] if len(groups) == 1 and query.limit is None else None)
    if question.dimension and query.limit is not None:
        return Task("not_understood")  # "the newest article of each author" are several, each found on its own
    if dimension:
        return Task("groups", query, dimension=dimension, extreme=question.extreme, attributes=question.asked)
    if question.extreme or (len(groups) > 1 and query.limit is None):
        return Task("not_understood")
    wanted: Wanted = question.wanted
    if question.refers == "and" and not question.wanted_said:
        wanted = context.wanted
    action: Action = "count" if wanted == "count" else "list"
    return Task(action, query, attributes=question.asked)


def _published_if_newest(query: Query, question: Question) -> Query:
    """Take "the newest article" for the newest that is published, unless drafts are spoken of."""
    newest = query.limit is not None and query.order is not None and query.order.key == "date"
    return replace(query, state="Published") if newest and not query.state and "state" not in question.freed else query


def _leans(question: Question, context: Context) -> bool:
    alone = not question.has_noun and not question.details
    return context.query is not None and (
        question.refers is not None or (alone and (question.terse or _which_of_them(question)))
    )


def _is_superlative(question: Question) -> bool:
    """Whether the one or the few are wanted that are the newest, cheapest and so on."""
    return question.query.order is not None and question.query.limit is not None


def _which_of_them(question: Question) -> bool:
    """Whether it is "the cheapest one?", which without a noun or a filter means one of those listed before."""
    return (
        (_is_superlative(question) or question.wanted == "average")
        and not question.has_noun
        and not question.query.narrowing()
    )


def _in_context(question: Question, context: Context) -> Query | None:
    """Return the query that is meant; None if it leans on something that was never said."""
    before = context.query
    if before is None or not _leans(question, context):
        return None if question.refers == "them" and not question.has_noun else question.query
    if (
        question.refers == "them"
        or _which_of_them(question)
        or (question.refers == "only" and before.limit is not None)
    ):
        if question.query.narrowing():
            types = question.query.types or before.types
            return replace(question.query, types=types, within=context.ids)
        within = before.within if before.limit is None else context.ids
        order, limit = question.query.order or before.order, question.query.limit or before.limit
        return replace(before, order=order, limit=limit, within=within)
    return _exchanged(before, question)


def _exchanged(before: Query, question: Question) -> Query:
    """Put what the question says in the place of what was said before, and keep the rest."""
    said = question.query
    changes = {f.name: getattr(said, f.name) for f in fields(Query) if getattr(said, f.name) != f.default}
    changes |= {f.name: f.default for f in fields(Query) if f.name in question.freed and f.name not in changes}
    if not question.has_noun and "Product" in before.types:
        changes.pop("types", None)  # a price alone leaves it at the tents that were spoken of
    if "types" in changes:
        changes.setdefault("categories", ())
        if "Product" not in said.types:
            changes.setdefault("price", None)
    if question.refers == "only" and said.tags and before.tags and said.tags.every and before.tags.every:
        changes["tags"] = Choice(tuple(dict.fromkeys(before.tags.values + said.tags.values)), every=True)
    return replace(before, **changes)
