"""The answer card over HTTP, where no session remembers what `initialize` declared."""

from typing import Any

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from contit_mcp.server.card import CARD_TOOLS, CARD_URI
from tests.children import INFO, INITIALIZE, SEAL_KEY, TOKEN_MODE, Served, result_in, rpc

SANDBOX = {"CONTIT_MCP_SEAL_KEY": SEAL_KEY}
DECLARED = rpc("initialize", {**INFO, "capabilities": {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}})


def test_a_client_that_declares_cards_gets_a_session_id_that_each_replica_understands() -> None:
    """The server is stateless: the id carries the declaration, and nothing else depends on it."""
    with Served(SANDBOX, ("--sandbox",)) as first, Served(SANDBOX, ("--sandbox",)) as second:
        declared = first.post(DECLARED)
        assert EXTENSION_ID in result_in(declared)["capabilities"]["extensions"]
        session = {"Mcp-Session-Id": declared.headers["mcp-session-id"]}
        assert session["Mcp-Session-Id"].startswith("card-")
        for served in (first, second):
            tools = result_in(served.post(rpc("tools/list"), **session))["tools"]
            assert {tool["name"] for tool in tools if tool.get("_meta", {}).get("ui")} == CARD_TOOLS
            (card,) = result_in(served.post(rpc("resources/read", {"uri": CARD_URI}), **session))["contents"]
            assert card["mimeType"] == APP_MIME_TYPE
            assert served.http.delete(served.url, headers=session).status_code == 405


# Settings, the client's initialize, a session id, and the status of all answers.
NO_CARDS: list[tuple[dict[str, str], dict[str, Any], str, int]] = [
    ({}, INITIALIZE, "x-card-1", 200),
    ({"CONTIT_MCP_CARD": "off"}, DECLARED, "card-1", 200),
    (TOKEN_MODE, DECLARED, "card-1", 401),
]


@pytest.mark.parametrize(("settings", "initialize", "session_id", "status"), NO_CARDS)
def test_other_clients_get_no_session_id_and_no_card_with_a_made_up_one(
    settings: dict[str, str], initialize: dict[str, Any], session_id: str, status: int
) -> None:
    with Served({**SANDBOX, **settings}, ("--sandbox",)) as served:
        declared = served.post(initialize)
        assert (declared.status_code, declared.headers.get("mcp-session-id")) == (status, None)
        for session in ({}, {"Mcp-Session-Id": session_id}):
            listed = served.post(rpc("tools/list"), **session)
            assert (listed.status_code, '"ui"' in listed.text) == (status, False)
