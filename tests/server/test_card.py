"""The answer card reaches the clients that declare it, and changes no byte for any other."""

import json
import re
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    JSONRPCMessage,
    TextResourceContents,
)
from pydantic import TypeAdapter

from contit_mcp.server.card import CARD_TOOLS, CARD_URI, session_id_for
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from tests.server.stage import ERAS, connected, settings

pytestmark = pytest.mark.anyio

SHOWS_CARDS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
DECLARED = {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}

OTHERS: list[dict[str, Any]] = [
    {},
    {"extensions": {}},
    {"extensions": {EXTENSION_ID: {}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": []}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": ["text/html"]}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE.upper()]}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": APP_MIME_TYPE}}},
    {"extensions": {EXTENSION_ID: {"mime_types": [APP_MIME_TYPE]}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": {APP_MIME_TYPE: True}}}},
    {"extensions": {EXTENSION_ID.upper(): {"mimeTypes": [APP_MIME_TYPE]}}},
    {"extensions": {"io.modelcontextprotocol/tasks": {"mimeTypes": [APP_MIME_TYPE]}}},
    {"experimental": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}},
    {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {"form": {}}},
]
"""Capabilities that do not say that the client shows cards."""

NO_CONTIT = httpx.MockTransport(lambda _: httpx.Response(503))

_message: TypeAdapter[JSONRPCMessage] = TypeAdapter(JSONRPCMessage)


async def wire(requests: list[dict[str, Any]], *, card: str) -> list[bytes]:
    """Return the messages of a server that gets these requests, as they are written."""
    send_in, read = anyio.create_memory_object_stream[SessionMessage | Exception](100)
    write, receive_out = anyio.create_memory_object_stream[SessionMessage](100)
    async with AppContext(settings(CONTIT_MCP_CARD=card), transport=NO_CONTIT) as context:
        server = create_server(context)
        lines = []
        async with send_in, receive_out, anyio.create_task_group() as tasks:
            tasks.start_soon(server.run, read, write, server.create_initialization_options())
            for request in requests:
                await send_in.send(SessionMessage(_message.validate_python({"jsonrpc": "2.0", **request})))
                if "id" in request:
                    answer = await receive_out.receive()
                    lines.append(answer.message.model_dump_json(by_alias=True, exclude_unset=True).encode())
            tasks.cancel_scope.cancel()
    return lines


LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")


def handshake(capabilities: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all that a client of the older era asks about the card."""
    client = {
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "clientInfo": {"name": "x", "version": "1"},
    }
    return [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        *({"id": number, "method": method, "params": {}} for number, method in enumerate(LISTS, start=2)),
        {"id": 9, "method": "resources/read", "params": {"uri": CARD_URI}},
    ]


def envelope(capabilities: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the same in the newer era."""
    meta = {
        PROTOCOL_VERSION_META_KEY: "2026-07-28",
        CLIENT_CAPABILITIES_META_KEY: capabilities,
        CLIENT_INFO_META_KEY: {"name": "x", "version": "1"},
    }
    return [
        *(
            {"id": number, "method": method, "params": {"_meta": meta}}
            for number, method in enumerate(("server/discover", *LISTS), start=1)
        ),
        {"id": 9, "method": "resources/read", "params": {"uri": CARD_URI, "_meta": meta}},
    ]


@pytest.mark.parametrize("capabilities", OTHERS, ids=str)
@pytest.mark.parametrize("era", [handshake, envelope])
async def test_no_byte_changes_for_a_client_that_does_not_declare_cards(era: Any, capabilities: dict[str, Any]) -> None:
    """A host without cards, or with a declaration that means something else, gets what it gets with the card off."""
    with anyio.fail_after(30):
        on = await wire(era(capabilities), card="on")
        off = await wire(era(capabilities), card="off")
    assert on == off
    assert len(on) == 6
    assert b'"error"' in on[-1]
    assert CARD_URI.encode() not in b"".join(on[:-1])


@pytest.mark.parametrize("era", [handshake, envelope])
async def test_off_means_off_for_a_client_that_declares_cards(era: Any) -> None:
    """CONTIT_MCP_CARD=off: the declaration is ignored."""
    with anyio.fail_after(30):
        assert await wire(era(DECLARED), card="off") == await wire(era({}), card="off")


@pytest.mark.parametrize("era", [handshake, envelope])
async def test_a_client_that_declares_cards_gets_the_plain_results_and_the_card(era: Any) -> None:
    """The card is an addition: without its own entries, the results are those of any other client."""
    with anyio.fail_after(30):
        with_card = [json.loads(line) for line in await wire(era(DECLARED), card="on")]
        plain = [json.loads(line) for line in await wire(era({}), card="on")]
    first, tools, resources = (answer["result"] for answer in with_card[:3])
    extensions = first["capabilities"].pop("extensions")
    assert extensions.pop(EXTENSION_ID) == {}
    assert extensions == plain[0]["result"]["capabilities"].pop("extensions", {})
    for tool in tools["tools"]:
        if tool["name"] in CARD_TOOLS:
            assert tool.pop("_meta") == {"ui": {"resourceUri": CARD_URI}}
    card = resources["resources"].pop()
    assert (card["uri"], card["mimeType"]) == (CARD_URI, APP_MIME_TYPE)
    assert card["_meta"]["ui"]["csp"] == {
        "connectDomains": [],
        "resourceDomains": [],
        "frameDomains": [],
        "baseUriDomains": [],
    }
    scopes = [answer["result"].pop("cacheScope", None) for answer in with_card[:-1]]
    assert "public" not in scopes, "another client gets another list, so that no shared cache may keep it"
    for answer in plain[:-1]:
        answer["result"].pop("cacheScope", None)
    assert with_card[:-1] == plain[:-1]
    (contents,) = with_card[-1]["result"]["contents"]
    assert contents["mimeType"] == APP_MIME_TYPE
    assert contents["text"].startswith("<!doctype html>")


@pytest.mark.parametrize("era", ERAS)
async def test_the_sdks_own_client_reads_the_card(era: str) -> None:
    """It is one HTML document under 100 kB that loads nothing and parses no HTML."""
    async with connected(NO_CONTIT, era=era, extensions=[SHOWS_CARDS]) as (client, _):
        (contents,) = (await client.read_resource(CARD_URI)).contents
    assert isinstance(contents, TextResourceContents)
    assert len(contents.text.encode()) < 100_000
    page, script = contents.text.split("<script")
    assert not re.search(r"<(?:link|img|iframe|base|form)\b|\b(?:src|href|on\w+)=|url\(|@import", page)
    assert not re.search(r"\b(?:eval|fetch|import|Function|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\(", script)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML", script)
    assert "Permission is hereby granted" in contents.text, "the licence of the lexer travels with it"


@pytest.mark.parametrize("era", ERAS)
async def test_other_clients_cannot_read_the_card(era: str) -> None:
    """For them it does not exist."""
    async with connected(NO_CONTIT, era=era) as (client, _):
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource(CARD_URI)


def initialize(capabilities: Any, method: str = "initialize") -> bytes:
    """Return the body of a request."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"capabilities": capabilities}}).encode()


def test_a_session_id_stands_for_the_declaration() -> None:
    """Up to 2025-11-25, the HTTP requests after `initialize` bring nothing else of what was declared."""
    first, second = session_id_for(initialize(DECLARED)), session_id_for(initialize(DECLARED))
    assert first is not None
    assert first != second
    assert first.startswith("card-")


ODD: list[Any] = [
    None,
    [],
    "x",
    1,
    {"extensions": []},
    {"extensions": {EXTENSION_ID: 1}},
    {"extensions": {EXTENSION_ID: []}},
]


@pytest.mark.parametrize(
    "body",
    [
        *(initialize(declared) for declared in (*OTHERS, *ODD)),
        initialize(DECLARED, "tools/list"),
        b"",
        f'["initialize", "{EXTENSION_ID}"]'.encode(),
        f'{{"method": "initialize", "params": ["{EXTENSION_ID}"]}}'.encode(),
    ],
)
def test_no_session_id_for_other_requests(body: bytes) -> None:
    """Other clients stay without a session."""
    assert session_id_for(body) is None
