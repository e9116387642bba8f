"""The server card and the AI catalog: what a client can read before it connects."""

import json
import re
from typing import Any

import pytest

from contit_mcp import __version__
from contit_mcp.http.app import NAME
from tests.children import INITIALIZE, TOKEN_MODE, Served
from tests.rules.tree import ROOT

PUBLIC = "https://assistant.example.com/contit/mcp"
MODES: dict[str, tuple[dict[str, str], list[str]]] = {
    "none": ({}, []),
    "token": (TOKEN_MODE, ["Authorization"]),
    "caller": ({"CONTIT_MCP_AUTH": "caller"}, ["X-Api-Key"]),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_client_gets_from_the_catalog_over_the_card_to_the_server(mode: str) -> None:
    """Without a credential, from a page of any origin."""
    environment, headers = MODES[mode]
    with Served(environment, () if mode == "caller" else ("--sandbox",)) as server:
        catalog = server.http.get(f"{server.base}/.well-known/ai-catalog.json", headers={"Origin": "https://a.example"})
        assert catalog.headers["cache-control"] == "no-store"
        (entry,) = catalog.json()["entries"]
        assert re.fullmatch(r"urn:air:[\w.-]+:[\w-]+", entry["identifier"])
        assert entry["url"] == f"{server.url}/server-card"
        card = server.http.get(entry["url"], headers={"Accept": entry["type"]})
        for answer, kind in ((catalog, "ai-catalog"), (card, "mcp-server-card")):
            assert answer.headers["content-type"] == f"application/{kind}+json"
            assert answer.headers["access-control-allow-origin"] == "*"
            assert server.http.post(str(answer.url)).status_code == 405
        (remote,) = card.json()["remotes"]
        assert (remote["type"], remote["url"]) == ("streamable-http", server.url)
        found = [(each["name"], each["isSecret"], each["isRequired"]) for each in remote.get("headers", [])]
        assert found == [(name, True, True) for name in headers]
        assert {"2025-11-25", "2026-07-28"} <= set(remote["supportedProtocolVersions"])


def test_the_card_says_what_the_server_says() -> None:
    """A card should not contradict the server; it is also within the schema's bounds."""
    with Served({"CONTIT_MCP_PUBLIC_URL": PUBLIC}, ("--sandbox",)) as server:
        answer = server.http.get(f"{server.base}/mcp/server-card")
        card: dict[str, Any] = answer.json()
        about = json.loads(server.post(INITIALIZE).text.split("data: ", 1)[1].splitlines()[0])["result"]["serverInfo"]
        catalog = server.http.get(f"{server.base}/.well-known/ai-catalog.json").json()
    assert answer.headers["cache-control"] == "public, max-age=3600"
    for name in ("version", "title", "description", "websiteUrl", "icons"):
        assert card[name] == about[name], name
    assert card["version"] == __version__
    assert card["name"] == NAME == json.loads((ROOT / "server.json").read_text(encoding="utf-8"))["name"]
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", card["name"])
    assert 0 < len(card["description"]) <= 100
    assert not {"tools", "resources", "prompts", "capabilities"} & card.keys()
    assert card["remotes"][0]["url"] == PUBLIC
    assert catalog["entries"][0]["url"] == f"{PUBLIC}/server-card"
