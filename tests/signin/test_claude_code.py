"""Claude Code, the real program: from a bare URL to an answer that its model gets."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.children import in_thread
from tests.hosts.bench import bare_environment, run
from tests.hosts.installing import node, npm_packages
from tests.hosts.model_service.app import create_model_service
from tests.hosts.model_service.conversation import Model, ask
from tests.signin.stage import QUESTION, Stage, browser_script, stage

IN_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    """Yield a provider that registers clients, since the metadata document of this client is out of reach here."""
    with stage(tmp_path, documents=False) as found:
        yield found


def test_it_logs_in_and_its_model_gets_an_answer(scene: Stage, tmp_path: Path) -> None:
    """`claude mcp login` opens the login page with `BROWSER`."""
    claude = npm_packages("claude_code", "@anthropic-ai/claude-code") / "claude"
    environment = bare_environment(tmp_path / "home", node(), BROWSER=str(browser_script(tmp_path)))
    run([claude, "mcp", "add", "--scope", "user", "--transport", "http", "contit", scene.url], environment)
    login: list[str | Path] = [sys.executable, "-c", IN_TERMINAL, claude, "mcp", "login", "contit"]
    assert "Authenticated" in run(login, environment | {"TERM": "xterm"})
    assert "Connected" in run([claude, "mcp", "list"], environment)
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"contit": {"type": "http", "url": scene.url}}}))
    model = Model()
    model.play(ask(QUESTION))
    with in_thread(create_model_service(model)) as model_url:
        model_at = {"ANTHROPIC_BASE_URL": model_url, "ANTHROPIC_API_KEY": "sk-made-up"}
        options = ("--bare", "--mcp-config", config, "--strict-mcp-config", "--allowedTools", "mcp__contit__*")
        run([claude, "-p", "go", *options], environment | model_at)
    (answer,) = model.seen
    assert "draft" in answer
    assert scene.answered()[-1]["host"] == "claude-code"
