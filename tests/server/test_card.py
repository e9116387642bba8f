"""The answer card reaches the clients that declare it, and changes no byte for any other."""

import json
import re
from typing import Any

import httpx
import pytest
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import TextResourceContents

from contit_mcp.server.card import CARD_TOOLS, CARD_URI, session_id_for
from tests.server.stage import connected, in_each_era, settings, wire

pytestmark = pytest.mark.anyio

DECLARED = {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}
OTHERS: list[dict[str, Any]] = [
    {},
    {"extensions": {EXTENSION_ID: {}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": []}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": ["text/html"]}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": APP_MIME_TYPE}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": {APP_MIME_TYPE: True}}}},
    {"extensions": {"io.modelcontextprotocol/tasks": {"mimeTypes": [APP_MIME_TYPE]}}},
    {"experimental": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}},
]
"""Capabilities that do not say that the client shows cards."""

LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in LISTS),
    ("resources/read", {"uri": CARD_URI}),
]
NO_CONTIT = httpx.MockTransport(lambda _: httpx.Response(503))


async def written(era: str, capabilities: dict[str, Any], *, card: str) -> list[str]:
    return await wire(era, capabilities, REQUESTS, NO_CONTIT, settings(CONTIT_MCP_CARD=card))


@pytest.mark.parametrize("capabilities", OTHERS, ids=str)
@in_each_era
async def test_no_byte_changes_for_a_client_that_does_not_declare_cards(era: str, capabilities: dict[str, Any]) -> None:
    """A host without cards, or with a declaration that means something else, gets what it gets with the card off."""
    on, off = [await written(era, capabilities, card=card) for card in ("on", "off")]
    assert on == off
    assert '"error"' in on[-1]
    assert CARD_URI not in "".join(on[:-1])


@in_each_era
async def test_off_means_off_for_a_client_that_declares_cards(era: str) -> None:
    """CONTIT_MCP_CARD=off: the declaration is ignored."""
    assert await written(era, DECLARED, card="off") == await written(era, {}, card="off")


@in_each_era
async def test_a_client_that_declares_cards_gets_the_plain_results_and_the_card(era: str) -> None:
    """The card is an addition: without its own entries, the results are those of any other client."""
    with_card, plain = [
        [json.loads(line)["result"] for line in (await written(era, capabilities, card="on"))[:-1]]
        for capabilities in (DECLARED, {})
    ]
    extensions = with_card[0]["capabilities"].pop("extensions")
    assert extensions.pop(EXTENSION_ID) == {}
    assert extensions == plain[0]["capabilities"].pop("extensions", {})
    for tool in with_card[1]["tools"]:
        if tool["name"] in CARD_TOOLS:
            assert tool.pop("_meta") == {"ui": {"resourceUri": CARD_URI}}
    card = with_card[2]["resources"].pop()
    assert (card["uri"], card["mimeType"]) == (CARD_URI, APP_MIME_TYPE)
    assert set(map(tuple, card["_meta"]["ui"]["csp"].values())) == {()}  # no domain for any purpose
    scopes = [result.pop("cacheScope", None) for result in with_card]
    assert "public" not in scopes, "another client gets another list, so that no shared cache may keep it"
    for result in plain:
        result.pop("cacheScope", None)
    assert with_card == plain


@in_each_era
async def test_the_sdks_own_client_reads_the_card(era: str) -> None:
    """It is one HTML document under 100 kB that loads nothing and parses no HTML."""
    shows_cards = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
    async with connected(NO_CONTIT, era=era, extensions=[shows_cards]) as (client, _):
        (contents,) = (await client.read_resource(CARD_URI)).contents
    assert isinstance(contents, TextResourceContents)
    assert contents.mime_type == APP_MIME_TYPE
    assert len(contents.text.encode()) < 100_000
    page, script = contents.text.split("<script")
    assert not re.search(r"<(?:link|img|iframe|base|form)\b|\b(?:src|href|on\w+)=|url\(|@import", page)
    assert not re.search(r"\b(?:eval|fetch|import|Function|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\(", script)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML", script)
    assert "Permission is hereby granted" in contents.text, "the licence of the lexer travels with it"


def initialize(capabilities: Any, method: str = "initialize") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"capabilities": capabilities}}).encode()


def test_a_session_id_stands_for_the_declaration_alone() -> None:
    """Up to 2025-11-25, the HTTP requests after `initialize` bring nothing else of what was declared."""
    odd: list[Any] = [*OTHERS, None, [], "x", {"extensions": []}, {"extensions": {EXTENSION_ID: 1}}]
    bodies = [*map(initialize, odd), initialize(DECLARED, "tools/list"), b"", b'["initialize", "ui"]']
    bodies.append(b'{"method": "initialize", "params": ["io.modelcontextprotocol/ui"]}')
    assert {session_id_for(body) for body in bodies} == {None}
    ids = {str(session_id_for(initialize(DECLARED))) for _ in range(2)}
    assert len(ids) == 2
    assert all(each.startswith("card-") for each in ids)
