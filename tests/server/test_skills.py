"""Skills: what a host needs to list, verify and load them, by the extension's own rules."""

import hashlib
import json
import re
from typing import Any

import pytest
from mcp import MCPError
from mcp.client import Client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, Request, RequestParams, TextResourceContents
from pydantic import BaseModel, ConfigDict

from contit_mcp.server.prompts import jobs
from tests.echo_contit import EchoContit
from tests.server.stage import connected

pytestmark = pytest.mark.anyio


class _Params(RequestParams):
    uri: str = ""


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, uri: str = "") -> dict[str, Any]:
    """The result of `skills/list` or `skills/get`."""
    request = Request[_Params, str](method=method, params=_Params(uri=uri))
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


async def test_what_is_no_skill_is_refused_and_the_handshake_era_has_none() -> None:
    """With the code of unknown resources. The extension is of 2026-07-28; its files are readable in both eras."""
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
