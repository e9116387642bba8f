"""The answer card over HTTP, where no session remembers what `initialize` declared."""

from typing import Any

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from contit_mcp.server.card import CARD_TOOLS, CARD_URI
from tests.children import INFO, JSON_RPC, SEAL_KEY, TOKEN_MODE, Served, result_in, rpc

SANDBOX = {"CONTIT_MCP_SEAL_KEY": SEAL_KEY}
DECLARED = rpc("initialize", {**INFO, "capabilities": {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}})


def post(served: Served, request: dict[str, Any], **headers: str) -> tuple[str | None, dict[str, Any]]:
    response = served.http.post(served.url, json=request, headers={**JSON_RPC, **headers})
    return response.headers.get("mcp-session-id"), result_in(response)


def cards(result: dict[str, Any]) -> frozenset[str]:
    return frozenset(tool["name"] for tool in result["tools"] if tool.get("_meta", {}).get("ui"))


def test_a_declaration_comes_back_as_a_session_id_that_each_replica_understands() -> None:
    """The server is stateless: the id carries the declaration, and nothing else depends on it."""
    with Served(SANDBOX, ("--sandbox",)) as first, Served(SANDBOX, ("--sandbox",)) as second:
        session_id, result = post(first, DECLARED)
        assert session_id is not None
        assert session_id.startswith("card-")
        assert EXTENSION_ID in result["capabilities"]["extensions"]
        for served in (first, second):
            headers = {"Mcp-Session-Id": session_id}
            assert cards(post(served, rpc("tools/list"), **headers)[1]) == CARD_TOOLS
            (card,) = post(served, rpc("resources/read", {"uri": CARD_URI}), **headers)[1]["contents"]
            assert card["mimeType"] == APP_MIME_TYPE
            assert first.http.delete(served.url, headers={**JSON_RPC, **headers}).status_code == 405


@pytest.mark.parametrize(
    ("settings", "initialize", "status"),
    [({}, rpc("initialize", INFO), 200), ({"CONTIT_MCP_CARD": "off"}, DECLARED, 200), (TOKEN_MODE, DECLARED, 401)],
)
def test_a_session_id_opens_nothing_and_others_get_none(
    settings: dict[str, str], initialize: dict[str, Any], status: int
) -> None:
    """Neither a foreign id, nor our own where cards are off; an id is no credential."""
    with Served({**SANDBOX, **settings}, ("--sandbox",)) as served:
        declared = served.post(initialize)
        assert (declared.status_code, declared.headers.get("mcp-session-id")) == (status, None)
        own = [] if initialize != DECLARED else ["card-1"]
        for session_id in (None, "0f9c", "x-card-1", *own):
            headers = {"Mcp-Session-Id": session_id} if session_id else {}
            assert served.post(rpc("tools/list"), **headers).status_code == status
            if status == 200:
                assert cards(post(served, rpc("tools/list"), **headers)[1]) == frozenset()
