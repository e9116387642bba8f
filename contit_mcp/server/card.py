"""The answer card: an HTML resource that hosts with MCP Apps (`io.modelcontextprotocol/ui`) show beside an answer.

Its sources and the built file are in card_page/; docs/card.md describes what it shows. Only a client that declares
the extension learns of the card. Each result for another client stays as it was, byte for byte.
"""

import json
import secrets
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID, ResourceCsp, client_supports_apps
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import ReadResourceResult, Resource, TextResourceContents

CARD_URI = "ui://contit/answer-card.html"

CARD_TOOLS = frozenset({"contit_ask", "contit_response"})
"""The tools whose results hold an answer. contit_start would show the same run in a second card."""

SESSION_PREFIX = "card-"
SESSION_HEADER = "Mcp-Session-Id"
"""HTTP up to 2025-11-25 is stateless: what `initialize` declares is unknown to the requests after it. A session id with
this prefix brings the declaration back. No state belongs to it, so that any replica understands it."""

# The card asks for nothing from the network, so hosts give it the strictest policy that they have.
_NO_DOMAINS = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
_UI = {"csp": _NO_DOMAINS.model_dump(by_alias=True), "prefersBorder": False}


class AnswerCard:
    """Middleware of a server that tells clients of the card: `server.middleware.append(AnswerCard())`."""

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Complete the lists and capabilities for a client that shows cards, and serve it the card."""
        if not _shows_cards(ctx):
            return await call_next(ctx)
        if ctx.method == "resources/read" and (ctx.params or {}).get("uri") == CARD_URI:
            return read_card()
        result = await call_next(ctx)
        if isinstance(result, dict):
            _complete(ctx.method, result)
        return result


def read_card() -> ReadResourceResult:
    """Return the card as `resources/read` does. It changes with the package alone."""
    contents = TextResourceContents(uri=CARD_URI, mime_type=APP_MIME_TYPE, text=_page(), _meta={"ui": _UI})
    return ReadResourceResult(contents=[contents], ttl_ms=3_600_000, cache_scope="public")


def session_id_for(body: bytes) -> str | None:
    """Return the session id for a request with this body; None unless it is an `initialize` that declares cards."""
    if b'"initialize"' not in body:
        return None
    message = json.loads(body)
    if not isinstance(message, dict) or message.get("method") != "initialize":
        return None
    params = message.get("params")
    declares = isinstance(params, dict) and _declares(params.get("capabilities"))
    return SESSION_PREFIX + secrets.token_urlsafe(16) if declares else None


def _shows_cards(ctx: ServerRequestContext[Any, Any]) -> bool:
    if client_supports_apps(ctx):
        return True
    if ctx.method == "initialize":
        return _declares((ctx.params or {}).get("capabilities"))
    headers = getattr(ctx.request, "headers", {})
    return str(headers.get(SESSION_HEADER, "")).startswith(SESSION_PREFIX)


def _declares(capabilities: Any) -> bool:
    """Tell it of capabilities that are not validated; the SDK does it for those that are."""
    extensions = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
    settings = extensions.get(EXTENSION_ID) if isinstance(extensions, Mapping) else None
    mime_types = settings.get("mimeTypes") if isinstance(settings, Mapping) else None
    return isinstance(mime_types, list) and APP_MIME_TYPE in mime_types


def _complete(method: str, result: dict[str, Any]) -> None:
    if method in {"initialize", "server/discover"}:
        capabilities = result["capabilities"] = dict(result.get("capabilities") or {})
        capabilities["extensions"] = {**capabilities.get("extensions", {}), EXTENSION_ID: {}}
    elif method == "tools/list":
        result["tools"] = [_with_card(tool) for tool in result["tools"]]
    elif method == "resources/list":
        card = Resource(
            uri=CARD_URI,
            name="answer_card",
            title="Answer card",
            description="Shows an answer of Contit in hosts that can show HTML.",
            mime_type=APP_MIME_TYPE,
            _meta={"ui": _UI},
        )
        if not result.get("nextCursor"):
            result["resources"] = [
                *result["resources"],
                card.model_dump(mode="json", by_alias=True, exclude_none=True),
            ]
    else:
        return
    if "cacheScope" in result:
        result["cacheScope"] = "private"  # another client gets another result


def _with_card(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["name"] not in CARD_TOOLS:
        return tool
    return {**tool, "_meta": {**tool.get("_meta", {}), "ui": {"resourceUri": CARD_URI}}}


@cache
def _page() -> str:
    return files("contit_mcp.server").joinpath("card_page", "answer-card.html").read_text(encoding="utf-8")
