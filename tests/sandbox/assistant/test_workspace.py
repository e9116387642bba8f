"""The sample workspace: what it holds, and that its files say what they should."""

import re
import uuid
from datetime import date

from contit_mcp.sandbox.assistant.items import Item
from contit_mcp.sandbox.assistant.query import Choice, Query
from contit_mcp.sandbox.assistant.search import count_by, find
from contit_mcp.sandbox.assistant.stems import stem, stems_of
from contit_mcp.sandbox.assistant.workspace import load_workspace
from tests.sandbox.assistant.oracle import TODAY, converse, listed

WORKSPACE = load_workspace()
ITEMS = list(WORKSPACE.items.values())


def test_the_vendors_example_is_answered_word_for_word() -> None:
    """12 articles, the newest three by name and day, and the offer (documented)."""
    assert converse("List all published articles from March 2026") == (
        "I found 12 published articles from March 2026. Here are the most recent:\n\n"
        "1. **Breaking News** (March 15)\n2. **Weekly Update** (March 14)\n3. **Tech Review** (March 12)\n\n"
        "Would you like me to show more details about any of these?"
    )


def test_it_holds_120_items_of_three_types() -> None:
    """Articles, products and pages; drafts and published (the types are documented, the rest is ours)."""
    assert dict(count_by(ITEMS, "type")) == {"Article": 72, "Product": 30, "Page": 18}
    assert dict(count_by(ITEMS, "state")) == {"Published": 100, "Draft": 20}
    assert dict(count_by(ITEMS, "locale")) == {"en": 117, "it": 90, "de": 47}


def test_ids_are_distinct_guids() -> None:
    """As the vendor's are (documented)."""
    assert len({uuid.UUID(item.id) for item in ITEMS}) == 120


def test_titles_are_distinct_within_a_language() -> None:
    """So that a title names one item (our choice)."""
    for locale in ("en", "it", "de"):
        titles = [item.translations[locale].title.lower() for item in ITEMS if locale in item.translations]
        assert len(titles) == len(set(titles))


def test_dates_are_in_order_and_in_the_past() -> None:
    """Created, then published, then changed, all by today; only drafts have no publication (our choice)."""
    for item in ITEMS:
        assert (item.published is None) == (item.state == "Draft")
        assert item.created <= (item.published or item.updated) <= item.updated
        assert date(2025, 1, 1) <= item.created.date() <= item.updated.date() <= TODAY
        assert (item.created.year, item.created.month) == (item.date.year, item.date.month)


def test_every_author_tag_and_category_is_known_and_used() -> None:
    """The workspace's own file lists them (our choice)."""
    assert {item.author for item in ITEMS} == set(WORKSPACE.authors)
    assert {tag for item in ITEMS for tag in item.tags} == set(WORKSPACE.tags)
    assert {item.category for item in ITEMS if item.category} == set(WORKSPACE.categories)
    assert all((item.type == "Product") == (item.price is not None) == (item.category is not None) for item in ITEMS)


def test_a_text_that_names_a_tag_carries_it() -> None:
    """So that "about hiking" means the same by tag and by word (our choice)."""
    for item in ITEMS:
        for tag, names in WORKSPACE.tags.items():
            for locale, text in item.translations.items():
                words = set(re.findall(r"\w+", f"{text.title} {text.body}".lower()))
                assert names[locale].lower() not in words or tag in item.tags, (text.title, tag)


def test_words_are_found_in_any_of_their_forms() -> None:
    """Singular and plural, each by its own language's endings (our choice)."""
    assert stems_of("Boots, boot, avalanches; avalanche", "en") == "boot boot avalanch avalanch"
    assert stems_of("tende tenda tendenza", "it") == "tend tend tendenz"
    assert stem("zelte", "de") == stem("zelt", "de") == "zelt"
    assert stem("stories", "en") == stem("story", "en")
    assert stem("2026", "en") == "2026"
    assert {_title(item) for item in _mentioning("chestnut")} == {"Chestnut Season on Monte Baldo"}
    assert {_title(item) for item in _mentioning("castagne")} == {"Chestnut Season on Monte Baldo"}


def test_a_phrase_is_found_as_it_stands() -> None:
    """All its words beside each other (our choice)."""
    assert len(_mentioning("Lake Garda")) == 2
    assert not _mentioning("Garda Lake")


def test_search_signs_are_only_text() -> None:
    """Nothing from a question can change the search itself (our choice)."""
    assert not _mentioning('" OR en : "lake')
    assert not _mentioning("lake* NEAR garda")
    assert listed(converse('Find articles mentioning "lake) OR (garda"')) == []


def _mentioning(words: str) -> list[Item]:
    return find(WORKSPACE, Query(words=Choice((words,))))


def _title(item: Item) -> str:
    return item.in_locale("en").title
