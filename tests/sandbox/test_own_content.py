"""Content of the user, in JSON, JSON lines and CSV; `questions/workspace.json` has questions about more of it."""

import datetime as dt
import json
from pathlib import Path

import pytest

from contit_mcp.sandbox import content, options
from contit_mcp.sandbox.answer import Assistant
from contit_mcp.sandbox.content import load_workspace
from contit_mcp.sandbox.options import DataError, load_answers

RECIPES = [
    {"id": 1, "title": "Lentil Soup", "author": "Ada Long", "tags": ["vegan", "quick"], "status": "published"},
    {"id": 2, "title": "Plum Cake", "author": {"name": "Ben Marsh"}, "tags": ["sweet"], "status": "draft"},
    {"id": 3, "title": {"en": "Rice", "it": "Riso"}, "author": {"name": "Ada Long"}, "status": "archived"},
]
TABLE = """id,title.en,title.it,author,tags,status
1,Lentil Soup,,Ada Long,vegan;quick,published
2,Plum Cake,,Ben Marsh,sweet,draft
3,Rice,Riso,Ada Long,,archived
"""


def _ask(path: Path, prompt: str) -> str:
    return Assistant(load_workspace(path), dt.date(2026, 3, 20)).reply(prompt, None).answer


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recipes.json", json.dumps(RECIPES)),
        ("export.json", json.dumps({"recipes": RECIPES})),
        ("recipes.jsonl", "\n".join(map(json.dumps, RECIPES))),
        ("recipes.csv", TABLE),
    ],
)
def test_all_formats_read_the_same_and_no_word_of_the_sample_is_known(tmp_path: Path, name: str, text: str) -> None:
    path = _file(tmp_path, name, text)
    assert "2 recipes" in _ask(path, "How many recipes did Ada write?")
    assert "Riso" in _ask(path, "Which recipes exist in Italian?")
    assert "Lentil Soup" in _ask(path, "Which recipes are tagged quick?")
    assert "did not understand “Anna” and “Weber”" in _ask(path, "drafts by Anna Weber")
    assert "did not understand “articles”" in _ask(path, "articles about soup")


def test_a_first_name_of_two_authors_is_answered_with_a_question(tmp_path: Path) -> None:
    events = [{"title": "Fair", "author": "Ann Lee"}, {"title": "Ball", "author": "Ann Wu"}]
    assert "Ann Lee and Ann Wu" in _ask(_file(tmp_path, "events.json", json.dumps(events)), "events by Ann")


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
def test_unreadable_content_is_named_by_file_and_record(tmp_path: Path, name: str, text: str, message: str) -> None:
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
