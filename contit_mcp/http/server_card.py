"""What a client can read before it connects: the server card (SEP-2127), and the AI catalog that refers to it.

Both are public: they say where the server is and which header it takes. They list no tool and hold no secret.
"""

from typing import Any

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contit_mcp import __version__
from contit_mcp.config.settings import Settings
from contit_mcp.server.server import DESCRIPTION, ICON, TITLE, WEBSITE

NAME = "cloud.contit/contit-mcp"
"""The name in the registry; server.json has it too."""

_IDENTIFIER = "urn:air:contit.cloud:contit-mcp"
_SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
_CARD, _CATALOG = "application/mcp-server-card+json", "application/ai-catalog+json"
_CATALOG_VERSION = "0.9"

_HEADERS = {
    "token": {"name": "Authorization", "description": "Bearer, and a token of this server."},
    "caller": {"name": "X-Api-Key", "description": "An API key of Contit."},
}
"""The header that each mode needs; OAuth 2.1 (`jwt`) has a discovery of its own."""


def discovery_routes(settings: Settings) -> list[Route]:
    """Return the routes of the card and of the catalog."""

    def url(request: Request) -> str:
        return settings.public_url or f"{request.base_url}mcp"

    def response(content: dict[str, Any], media_type: str) -> Response:
        # Without CONTIT_MCP_PUBLIC_URL the addresses are made from the Host header, which no cache should keep.
        kept = "public, max-age=3600" if settings.public_url else "no-store"
        open_to_pages = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET"}
        headers = {"Cache-Control": kept, "Access-Control-Allow-Headers": "Content-Type", **open_to_pages}
        return JSONResponse(content, media_type=media_type, headers=headers)

    async def card(request: Request) -> Response:
        remote: dict[str, Any] = {"type": "streamable-http", "url": url(request)}
        if header := _HEADERS.get(settings.auth):
            remote["headers"] = [{**header, "isRequired": True, "isSecret": True}]
        remote["supportedProtocolVersions"] = [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]
        about = {"$schema": _SCHEMA, "name": NAME, "version": __version__, "title": TITLE, "description": DESCRIPTION}
        icon = ICON.model_dump(mode="json", by_alias=True, exclude_none=True)
        return response({**about, "websiteUrl": WEBSITE, "icons": [icon], "remotes": [remote]}, _CARD)

    async def catalog(request: Request) -> Response:
        entry = {"identifier": _IDENTIFIER, "displayName": TITLE, "type": _CARD, "url": f"{url(request)}/server-card"}
        return response({"specVersion": _CATALOG_VERSION, "entries": [entry]}, _CATALOG)

    return [Route("/mcp/server-card", card), Route("/.well-known/ai-catalog.json", catalog)]
