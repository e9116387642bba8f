"""The server card and the AI catalog: what a client can read before it connects."""

import json
import re
from typing import Any

import pytest

from contit_mcp import __version__
from contit_mcp.http.app import NAME
from tests.children import INITIALIZE, TOKEN_MODE, Served, result_in
from tests.rules.tree import ROOT

PUBLIC_URL = "https://assistant.example.com/contit/mcp"
# Settings, and the header that a client has to send.
MODES: dict[str, tuple[dict[str, str], str | None]] = {
    "none": ({"CONTIT_MCP_HOST": "localhost"}, None),
    "behind a proxy": ({"CONTIT_MCP_PUBLIC_URL": PUBLIC_URL}, None),
    "token": (TOKEN_MODE, "Authorization"),
    "caller": ({"CONTIT_MCP_AUTH": "caller"}, "X-Api-Key"),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_catalog_leads_to_the_card_and_the_card_says_what_the_server_says(mode: str) -> None:
    """Both can be read without a credential, and by a page of any origin. The card fits the bounds of its schema."""
    environment, header = MODES[mode]
    with Served(environment, () if mode == "caller" else ("--sandbox",)) as server:
        url, cache = server.url, "no-store"
        if mode == "behind a proxy":
            url, cache = PUBLIC_URL, "public, max-age=3600"
        catalog = server.http.get(f"{server.base}/.well-known/ai-catalog.json", headers={"Origin": "https://a.example"})
        (entry,) = catalog.json()["entries"]
        assert re.fullmatch(r"urn:air:[\w.-]+:[\w-]+", entry["identifier"])
        assert entry["url"] == f"{url}/server-card"
        found = server.http.get(f"{server.base}/mcp/server-card", headers={"Accept": entry["type"]})
        for answer, kind in ((catalog, "ai-catalog"), (found, "mcp-server-card")):
            assert answer.headers["content-type"] == f"application/{kind}+json"
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cache-control"] == cache
            assert server.http.post(str(answer.url)).status_code == 405
        card: dict[str, Any] = found.json()
        if header is None:
            about = result_in(server.post(INITIALIZE))["serverInfo"]
            assert all(card[name] == about[name] for name in ("version", "title", "description", "websiteUrl", "icons"))
    (remote,) = card["remotes"]
    assert (remote["type"], remote["url"]) == ("streamable-http", url)
    headers = [(each["name"], each["isSecret"], each["isRequired"]) for each in remote.get("headers", [])]
    assert headers == ([(header, True, True)] if header else [])
    assert {"2025-11-25", "2026-07-28"} <= set(remote["supportedProtocolVersions"])
    assert card["version"] == __version__
    assert card["name"] == NAME == json.loads((ROOT / "server.json").read_text(encoding="utf-8"))["name"]
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", card["name"])
    assert 0 < len(card["description"]) <= 100
    assert not {"tools", "resources", "prompts", "capabilities"} & card.keys()
