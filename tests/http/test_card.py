"""The answer card over HTTP, where no session remembers what `initialize` declared."""

from typing import Any

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from contit_mcp.server.card import CARD_TOOLS, CARD_URI
from tests.children import INFO, INITIALIZE, SEAL_KEY, TOKEN_MODE, Served, result_in, rpc

SANDBOX = {"CONTIT_MCP_SEAL_KEY": SEAL_KEY}
DECLARED = rpc("initialize", {**INFO, "capabilities": {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}})


def cards(served: Served, **headers: str) -> frozenset[str]:
    """Return the names of the tools that have a card."""
    tools = result_in(served.post(rpc("tools/list"), **headers))["tools"]
    return frozenset(tool["name"] for tool in tools if tool.get("_meta", {}).get("ui"))


def test_a_declaration_comes_back_as_a_session_id_that_each_replica_understands() -> None:
    """The server is stateless: the id carries the declaration, and nothing else depends on it."""
    with Served(SANDBOX, ("--sandbox",)) as first, Served(SANDBOX, ("--sandbox",)) as second:
        declared = first.post(DECLARED)
        assert EXTENSION_ID in result_in(declared)["capabilities"]["extensions"]
        session = {"Mcp-Session-Id": declared.headers["mcp-session-id"]}
        assert session["Mcp-Session-Id"].startswith("card-")
        for served in (first, second):
            assert cards(served, **session) == CARD_TOOLS
            (card,) = result_in(served.post(rpc("resources/read", {"uri": CARD_URI}), **session))["contents"]
            assert card["mimeType"] == APP_MIME_TYPE
            assert served.http.delete(served.url, headers=session).status_code == 405


OFF = {"CONTIT_MCP_CARD": "off"}
WITHOUT = [
    ({}, INITIALIZE, ["0f9c", "x-card-1"], 200),
    (OFF, DECLARED, ["card-1"], 200),
    (TOKEN_MODE, DECLARED, ["card-1"], 401),
]


@pytest.mark.parametrize(("settings", "initialize", "ids", "status"), WITHOUT)
def test_a_session_id_opens_nothing_and_others_get_none(
    settings: dict[str, str], initialize: dict[str, Any], ids: list[str], status: int
) -> None:
    """Neither a foreign id, nor our own where cards are off; an id is no credential."""
    with Served({**SANDBOX, **settings}, ("--sandbox",)) as served:
        declared = served.post(initialize)
        assert (declared.status_code, declared.headers.get("mcp-session-id")) == (status, None)
        for session in ({}, *({"Mcp-Session-Id": each} for each in ids)):
            assert served.post(rpc("tools/list"), **session).status_code == status
            assert status == 401 or not cards(served, **session)
