"""Two extensions of the server: the answer card, which changes nothing for other clients, and the skills."""

import hashlib
import json
import re
from typing import Any

import httpx
import pytest
from mcp import MCPError
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, ReadResourceRequestParams, Request, TextResourceContents
from pydantic import BaseModel, ConfigDict

from contit_mcp.server.card import CARD_TOOLS, CARD_URI, session_id_for
from contit_mcp.server.prompts import jobs
from tests.echo_contit import EchoContit
from tests.server.stage import connected, in_each_era, messages_written, settings

pytestmark = pytest.mark.anyio

DECLARED = {"extensions": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}}
OTHERS: list[dict[str, Any]] = [  # capabilities that do not say that the client shows cards
    {},
    {"extensions": {EXTENSION_ID: {}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": []}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": ["text/html"]}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": APP_MIME_TYPE}}},
    {"extensions": {EXTENSION_ID: {"mimeTypes": {APP_MIME_TYPE: True}}}},
    {"extensions": {"io.modelcontextprotocol/tasks": {"mimeTypes": [APP_MIME_TYPE]}}},
    {"experimental": {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}},
]
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
REQUESTS: list[tuple[str, dict[str, Any]]] = [(method, {}) for method in LISTS]
REQUESTS.append(("resources/read", {"uri": CARD_URI}))
NO_CONTIT = httpx.MockTransport(lambda _: httpx.Response(503))


async def written(era: str, capabilities: dict[str, Any], *, card: str) -> list[str]:
    return await messages_written(era, capabilities, REQUESTS, NO_CONTIT, settings(CONTIT_MCP_CARD=card))


@in_each_era
async def test_no_byte_changes_for_a_client_that_does_not_declare_cards(era: str) -> None:
    """It gets the same as every client of a server whose card is switched off."""
    off = await written(era, {}, card="off")
    assert '"error"' in off[-1]
    assert CARD_URI not in "".join(off[:-1])
    for capabilities, card in [(DECLARED, "off"), *((each, "on") for each in OTHERS)]:
        assert await written(era, capabilities, card=card) == off, capabilities


@in_each_era
async def test_a_client_that_declares_cards_gets_the_plain_results_and_the_card(era: str) -> None:
    """Without the entries of the card, its results are equal to those of other clients."""
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
    assert "public" not in scopes, "a shared cache must not keep it: other clients get another list"
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
    assert "Permission is hereby granted" in contents.text, "the licence of the lexer is in the file"


def test_only_an_initialize_that_declares_cards_gets_a_session_id() -> None:
    """Other messages get none, whatever their capabilities contain (tests/http/test_card.py: how the id is used)."""
    declared = {"capabilities": DECLARED}
    assert session_id_for({"method": "initialize", "params": declared})
    odd: list[Any] = [*OTHERS, None, [], "x", {"extensions": []}, {"extensions": {EXTENSION_ID: 1}}]
    messages: list[dict[str, Any]] = [{"method": "initialize", "params": {"capabilities": each}} for each in odd]
    messages += [{}, {"method": "initialize", "params": []}, {"method": "tools/list", "params": declared}]
    assert {session_id_for(message) for message in messages} == {None}


# --- skills: how a host lists, verifies and loads them


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, uri: str = "") -> dict[str, Any]:
    request = Request[ReadResourceRequestParams, str](method=method, params=ReadResourceRequestParams(uri=uri))
    return (await client.session.send_request(request, _Anything)).model_dump()


async def test_each_job_is_a_skill_that_verifies_and_loads() -> None:
    """The digest and size are those of the file, and its frontmatter is the entry's."""
    async with connected(EchoContit(), era="auto") as (client, _):
        assert "io.modelcontextprotocol/skills" in (client.server_capabilities.extensions or {})
        found = await ask(client, "skills/list")
        assert (found["resultType"], found["cacheScope"]) == ("complete", "public")
        assert found["ttlMs"] > 0
        for skill, (key, job) in zip(found["skills"], jobs().items(), strict=True):
            name = skill["frontmatter"]["name"]
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
            assert (name, skill["uri"]) == (key.replace("_", "-"), f"skill://{name}/SKILL.md")
            [content] = (await client.read_resource(skill["uri"])).contents
            assert isinstance(content, TextResourceContents)
            assert content.mime_type == "text/markdown"
            raw = content.text.encode()
            digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
            assert skill["resources"] == [{"uri": skill["uri"], "digest": digest, "size": len(raw)}]
            _, head, body = content.text.split("---\n", 2)
            lines = dict(line.split(": ", 1) for line in head.splitlines())
            assert {**lines, "description": json.loads(lines["description"])} == skill["frontmatter"]
            assert all(f"<{argument}>" in body for argument in job.get("arguments", {}))
            assert "{" not in body
            assert (await ask(client, "skills/get", skill["uri"]))["skill"] == skill


async def test_an_unknown_skill_is_refused_and_the_older_era_has_no_skills() -> None:
    """The extension is of 2026-07-28. Its files are resources of both eras."""
    async with connected(EchoContit(), era="auto") as (client, _):
        for uri in ("", "skill://", "skill://what_changed/SKILL.md", "skill://x/SKILL.md"):
            for attempt in (ask(client, "skills/get", uri), client.read_resource(uri or "skill://")):
                with pytest.raises(MCPError) as caught:
                    await attempt
                assert caught.value.error.code == INVALID_PARAMS
    async with connected(EchoContit()) as (client, _):
        with pytest.raises(MCPError) as caught:
            await ask(client, "skills/list")
        assert caught.value.error.code == METHOD_NOT_FOUND
        assert (await client.read_resource("skill://what-changed/SKILL.md")).contents
