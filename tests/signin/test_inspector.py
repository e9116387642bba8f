"""The MCP Inspector, on the command line and as a web page: from a bare URL to an answer."""

import json
import re
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from tests.children import free_port
from tests.hosts.bench import bare_environment, run
from tests.hosts.installing import node, npm_packages
from tests.signin.stage import QUESTION, Stage, browser_script, chromium, run_program

PACKAGE = "@modelcontextprotocol/inspector"


def inspect(scene: Stage, environment: dict[str, str], *more: str) -> Any:
    call = ["--method", "tools/call", "--tool-name", "contit_ask", "--tool-args-json", json.dumps({"prompt": QUESTION})]
    command = npm_packages("inspector", PACKAGE) / "mcp-inspector"
    target = ["--cli", "--format", "json", "--transport", "http", "--server-url", scene.url]
    return json.loads(run([command, *target, *call, *more], environment).splitlines()[-1])["result"]


def test_its_command_line_opens_the_login_page_and_gets_an_answer(scene: Stage, tmp_path: Path) -> None:
    """The second time it uses the tokens that it stored."""
    more = {"BROWSER": str(browser_script(tmp_path)), "MCP_INSPECTOR_SECRET_STORE": "file"}
    environment = bare_environment(tmp_path / "home", node(), MCP_AUTO_OPEN_ENABLED="true", **more)
    assert "draft" in inspect(scene, environment)["structuredContent"]["response"]
    registered = scene.provider.order().count("POST /reg 201")
    assert "draft" in inspect(scene, environment, "--stored-auth-only")["structuredContent"]["response"]
    assert scene.provider.order().count("POST /reg 201") == registered


def test_its_web_page_leads_to_the_login_page_and_gets_an_answer(scene: Stage, tmp_path: Path) -> None:
    """It registers through its own server, so that the issuer needs no CORS."""
    ports = {name: str(free_port()) for name in ("CLIENT_PORT", "MCP_SANDBOX_PORT", "MCP_APP_ORIGIN_PORT")}
    environment = bare_environment(tmp_path / "home", node(), MCP_AUTO_OPEN_ENABLED="false", **ports)
    inspector, log = str(npm_packages("inspector", PACKAGE) / "mcp-inspector"), tmp_path / "stderr"
    command = [inspector, "--web", "--server-url", scene.url, "--transport", "http"]
    with log.open("w") as stderr, Popen(command, env=environment, stdout=PIPE, stderr=stderr, text=True) as process:
        try:
            assert process.stdout is not None
            page = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+API_TOKEN\S+", line)))
            given = {"page": page, "chromium": chromium(), "question": QUESTION, "wanted": "draft items"}
            assert "draft items" in run_program("inspector.mjs", tmp_path / "chromium", given)["answer"]
        finally:
            process.terminate()
