"""Content of the user: JSON, JSON lines and CSV, whatever its types and fields, and errors in one line."""

import datetime as dt
import json
from pathlib import Path

import pytest

from contit_mcp.sandbox import content, options
from contit_mcp.sandbox.answer import Assistant
from contit_mcp.sandbox.content import load_workspace
from contit_mcp.sandbox.options import DataError, load_answers

RECIPES = [
    {"id": 1, "title": "Lentil Soup", "author": "Ada Long", "tags": ["vegan"], "status": "published",
     "publishDate": "2026-03-02", "difficulty": "easy", "cookingMinutes": 40},
    {"id": 2, "title": "Plum Cake", "author": {"name": "Ben Marsh"}, "tags": ["sweet"], "status": "draft", "cookingMinutes": 75},
    {"id": 3, "title": {"en": "Rice", "it": "Riso"}, "author": "Ada Long", "status": "Archived", "difficulty": "easy"},
]  # fmt: skip


def _ask(path: Path, prompt: str) -> str:
    return Assistant(load_workspace(path), dt.date(2026, 3, 20)).reply(prompt, None).answer


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Three recipes of two authors."""
    return _file(tmp_path, "recipes.json", json.dumps(RECIPES))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Which recipes did Ada write?", "Lentil Soup"),
        ("Which recipes are archived?", "Rice"),
        ("Which recipes take less than 60 minutes?", "Lentil Soup"),
        ("Which recipes exist in Italian?", "Riso"),
        ("How many cooking minutes does Plum Cake have?", "75"),
        ("drafts by Anna Weber", "did not understand “Anna” and “Weber”"),
        ("articles about soup", "did not understand “articles”"),
    ],
)
def test_types_authors_tags_states_and_fields_are_those_of_the_content(recipes: Path, prompt: str, said: str) -> None:
    assert said in _ask(recipes, prompt)


def test_all_formats_read_the_same(tmp_path: Path, recipes: Path) -> None:
    grouped = _file(tmp_path, "export.json", json.dumps({"recipes": RECIPES}))
    lines = _file(tmp_path, "recipes.jsonl", "\n".join(map(json.dumps, RECIPES)))
    table = _file(
        tmp_path, "recipes.csv",
        "id,title.en,title.it,author,tags,status\n1,Lentil Soup,,Ada Long,vegan;quick,published\n"
        "2,Plum Cake,,Ben Marsh,sweet,draft\n3,Rice,Riso,Ada Long,,archived\n",
    )  # fmt: skip
    for path in (recipes, grouped, lines, table):
        assert "2 recipes" in _ask(path, "How many recipes did Ada write?")
        assert "Riso" in _ask(path, "Which recipes exist in Italian?")


def test_a_folder_holds_several_types(tmp_path: Path) -> None:
    """Each file gives the type of its records; an author with one first name among two is asked back."""
    events = [{"title": "Fair", "author": "Ann Lee"}, {"title": "Ball", "author": "Ann Wu"}]
    _file(tmp_path, "events.json", json.dumps(events))
    _file(tmp_path, "books.csv", "title,author,pages\nOne,Joe Doe,10\nTwo,Joe Doe,300\n")
    assert "4 items: 2 books and 2 events" in _ask(tmp_path, "How many items are there?")
    assert "Two" in _ask(tmp_path, "books with more than 100 pages")
    assert "Ann Lee and Ann Wu" in _ask(tmp_path, "events by Ann")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "a.json: it is not JSON (line 1, column 2)"),
        ("a.json", "[]", "0 content items"),
        ("a.json", "[1]", "a.json, record 1: a record is an object"),
        ("a.json", '[{"title": "x"}, {"body": "y"}]', "a.json, record 2: the item has no title"),
        ("a.json", '[{"title": "x", "createdAt": "soon"}]', "record 1: createdAt is not a date"),
        ("a.json", '[{"id": 1, "title": "x"}, {"id": 1, "title": "y"}]', "record 2: another item has the id"),
        ("a.jsonl", '{"title": "x"}\n{"title"', "a.jsonl, record 2: it is not JSON"),
        ("a.csv", "title,author\nx,y,z\n", "a.csv, record 1: the row does not have as many values"),
        ("a.json", "[" * 100_000, "a.json: "),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_record(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        load_workspace(_file(tmp_path, name, text))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_content_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, "a.json", json.dumps([{"title": str(number)} for number in range(30)]))
    monkeypatch.setattr(content, "MAX_ITEMS", 29)
    with pytest.raises(DataError, match="30 content items"):
        load_workspace(path)
    for load in (load_workspace, load_answers):
        with pytest.raises(DataError, match="No such file"):
            load(tmp_path / "absent.json")
        monkeypatch.setattr(options, "MAX_FILE_BYTES", 100)
        with pytest.raises(DataError, match="it is over"):
            load(path)
