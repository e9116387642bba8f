"""The answer card: an HTML resource that hosts with MCP Apps (`io.modelcontextprotocol/ui`) show beside an answer.

Its sources and the built file are in card_page/; docs/card.md describes it. Only a client that declares the extension
learns of the card; results for other clients are the same as without it, byte for byte.
"""

import secrets
from functools import cache
from importlib.resources import files
from typing import Any

from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID, ResourceCsp, client_supports_apps
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import ReadResourceResult, TextResourceContents

CARD_URI = "ui://contit/answer-card.html"
CARD_TOOLS = frozenset({"contit_ask", "contit_response"})  # contit_start would show the same run in a second card

SESSION_PREFIX, SESSION_HEADER = "card-", "Mcp-Session-Id"
"""HTTP up to 2025-11-25 is stateless: what `initialize` declares is unknown to the requests after it. A session id with
this prefix brings the declaration back. No state belongs to it, so that any replica understands it."""

# The card asks for nothing from the network, so hosts give it the strictest policy that they have.
_NO_DOMAINS = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
_UI = {"csp": _NO_DOMAINS.model_dump(by_alias=True), "prefersBorder": False}
_CARD = {
    "uri": CARD_URI,
    "name": "answer_card",
    "title": "Answer card",
    "description": "Shows an answer of Contit in hosts that can show HTML.",
    "mimeType": APP_MIME_TYPE,
    "_meta": {"ui": _UI},
}


async def show_card(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the server: serve the card, and name it in lists and capabilities, for clients that show cards."""
    if not _shows_cards(ctx):
        return await call_next(ctx)
    if ctx.method == "resources/read" and (ctx.params or {}).get("uri") == CARD_URI:
        contents = TextResourceContents(uri=CARD_URI, mime_type=APP_MIME_TYPE, text=_page(), _meta={"ui": _UI})
        return ReadResourceResult(contents=[contents], ttl_ms=3_600_000, cache_scope="public")
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    if ctx.method in {"initialize", "server/discover"}:
        capabilities = result.get("capabilities") or {}
        extensions = {**capabilities.get("extensions", {}), EXTENSION_ID: {}}
        result["capabilities"] = {**capabilities, "extensions": extensions}
    elif ctx.method == "tools/list":
        card = {"_meta": {"ui": {"resourceUri": CARD_URI}}}
        result["tools"] = [{**tool, **card} if tool["name"] in CARD_TOOLS else tool for tool in result["tools"]]
    elif ctx.method == "resources/list":
        result["resources"] = [*result["resources"], _CARD]
    else:
        return result
    if "cacheScope" in result:
        result["cacheScope"] = "private"  # another client gets another result
    return result


def session_id_for(message: dict[str, Any]) -> str | None:
    """Return the session id for a JSON-RPC message; None unless it is an `initialize` that declares cards."""
    declares = message.get("method") == "initialize" and _declares(message.get("params"))
    return SESSION_PREFIX + secrets.token_urlsafe(16) if declares else None


def _shows_cards(ctx: ServerRequestContext[Any, Any]) -> bool:
    if client_supports_apps(ctx) or (ctx.method == "initialize" and _declares(ctx.params)):
        return True
    return str(getattr(ctx.request, "headers", {}).get(SESSION_HEADER, "")).startswith(SESSION_PREFIX)


def _declares(params: Any) -> bool:
    """Return whether the parameters of an `initialize`, which are not validated yet, declare cards."""
    try:
        mime_types = params["capabilities"]["extensions"][EXTENSION_ID]["mimeTypes"]
    except (KeyError, TypeError):
        return False
    return isinstance(mime_types, list) and APP_MIME_TYPE in mime_types


@cache
def _page() -> str:
    return files("contit_mcp.server").joinpath("card_page", "answer-card.html").read_text(encoding="utf-8")
