"""mcp-remote, which hosts use that know stdio alone: from a bare URL to an answer."""

from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.hosts.bench import bare_environment
from tests.hosts.installing import node, npm_packages
from tests.signin.stage import QUESTION, Stage, browser_script

pytestmark = pytest.mark.anyio


async def test_it_opens_the_login_page_and_passes_the_answer_on(scene: Stage, tmp_path: Path) -> None:
    """The second start uses the stored registration."""
    home = tmp_path / "home"
    browser = browser_script(tmp_path)
    environment = bare_environment(home, node(), BROWSER=str(browser), MCP_REMOTE_CONFIG_DIR=str(home / "auth"))
    command = [str(npm_packages("mcp_remote", "mcp-remote") / "mcp-remote"), scene.url]
    for start in ("first", "second"):
        parameters = StdioServerParameters(command=str(node() / "node"), args=command, env=environment)
        registered = scene.provider.order().count("POST /reg 201")
        with (tmp_path / "stderr").open("w") as stderr, anyio.fail_after(90):
            async with Client(stdio_client(parameters, stderr)) as client:
                result = await client.call_tool("contit_ask", {"prompt": f"{QUESTION} ({start})"})
        assert result.structured_content is not None
        assert "draft" in result.structured_content["response"]
        assert scene.provider.order().count("POST /reg 201") - registered == (1 if start == "first" else 0)
