"""Skills: what a host needs to list, verify and load them, by the extension's own rules."""

import hashlib
import json
import re
from typing import Any, Literal

import pytest
from mcp import MCPError
from mcp.client import Client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, Request, RequestParams, TextResourceContents
from pydantic import BaseModel, ConfigDict

from contit_mcp.server.prompts import jobs
from tests.echo_contit import EchoContit
from tests.server.stage import connected

pytestmark = pytest.mark.anyio
SKILLS = "io.modelcontextprotocol/skills"


class _Params(RequestParams):
    uri: str = ""


class _List(Request[_Params, Literal["skills/list"]]):
    method: Literal["skills/list"] = "skills/list"


class _Get(Request[_Params, Literal["skills/get"]]):
    method: Literal["skills/get"] = "skills/get"


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


async def listed(client: Client) -> dict[str, Any]:
    """`skills/list`."""
    return (await client.session.send_request(_List(params=_Params()), _Anything)).model_dump()


async def got(client: Client, uri: str) -> dict[str, Any]:
    """`skills/get`."""
    return (await client.session.send_request(_Get(params=_Params(uri=uri)), _Anything)).model_dump()


async def test_each_job_is_a_skill_that_verifies_and_loads() -> None:
    """The digest and size are those of the file, and its frontmatter is the entry's."""
    async with connected(EchoContit(), era="auto") as (client, _):
        assert SKILLS in (client.server_capabilities.extensions or {})
        found = await listed(client)
        assert (found["resultType"], found["cacheScope"]) == ("complete", "public")
        assert found["ttlMs"] > 0
        assert len(found["skills"]) == len(jobs())
        for skill, (key, job) in zip(found["skills"], jobs().items(), strict=True):
            name = skill["frontmatter"]["name"]
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
            assert skill["uri"] == f"skill://{name}/SKILL.md"
            assert name == key.replace("_", "-")
            [content] = (await client.read_resource(skill["uri"])).contents
            assert isinstance(content, TextResourceContents)
            assert content.mime_type == "text/markdown"
            raw = content.text.encode()
            digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
            assert skill["resources"] == [{"uri": skill["uri"], "digest": digest, "size": len(raw)}]
            _, head, body = content.text.split("---\n", 2)
            lines = dict(line.split(": ", 1) for line in head.splitlines())
            lines["description"] = json.loads(lines["description"])
            assert lines == skill["frontmatter"]
            assert all(f"<{argument}>" in body for argument in job.get("arguments", {}))
            assert "{" not in body
            assert (await got(client, skill["uri"]))["skill"] == skill


@pytest.mark.parametrize(
    "uri",
    ["", "skill://", "skill://what-changed", "skill://what_changed/SKILL.md", "skill://x/SKILL.md", "contit://guide"],
)
async def test_what_is_no_skill_is_an_invalid_parameter(uri: str) -> None:
    """The code that unknown resources have."""
    async with connected(EchoContit(), era="auto") as (client, _):
        with pytest.raises(MCPError) as caught:
            await got(client, uri)
        assert caught.value.error.code == INVALID_PARAMS
        if uri.startswith("skill://"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.error.code == INVALID_PARAMS


async def test_the_handshake_era_has_no_skills() -> None:
    """The extension is defined from 2026-07-28 on; its files are readable resources in both eras."""
    async with connected(EchoContit()) as (client, _):
        with pytest.raises(MCPError) as caught:
            await listed(client)
        assert caught.value.error.code == METHOD_NOT_FOUND
        [content] = (await client.read_resource("skill://what-changed/SKILL.md")).contents
        assert isinstance(content, TextResourceContents)
