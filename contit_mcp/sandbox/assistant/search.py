"""Runs a query against the workspace's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contit_mcp.sandbox.assistant.items import Item
    from contit_mcp.sandbox.assistant.query import Query
    from contit_mcp.sandbox.assistant.workspace import Workspace


def find(workspace: Workspace, query: Query) -> list[Item]:
    """Return the items a query means, the newest first, as many as it asks for."""
    texts, values = _conditions(query)
    # Only the fixed texts of this module go into the statement; everything from the question is a value.
    statement = f"SELECT id FROM items WHERE {' AND '.join(texts) or '1'} ORDER BY date DESC"  # noqa: S608
    if query.limit is not None:
        statement += " LIMIT ?"
        values.append(query.limit)
    return [workspace.items[row[0]] for row in workspace.database.execute(statement, values)]


def _conditions(query: Query) -> tuple[list[str], list[str | int]]:
    """Return the WHERE part: its fixed texts, and the values for their question marks."""
    texts: list[str] = []
    values: list[str | int] = []
    for column, wanted in (("type", query.types), ("author", query.authors)):
        if wanted:
            texts.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values.extend(wanted)
    if query.state:
        texts.append("state = ?")
        values.append(query.state)
    if query.period:
        texts.append("substr(date, 1, 10) BETWEEN ? AND ?")
        values.extend((query.period.start.isoformat(), query.period.end.isoformat()))
    if query.tag:
        texts.append("EXISTS (SELECT 1 FROM tags WHERE item = id AND tag = ?)")
        values.append(query.tag)
    if query.locale:
        texts.append("EXISTS (SELECT 1 FROM locales WHERE item = id AND locale = ?)")
        values.append(query.locale)
    return texts, values
