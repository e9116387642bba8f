"""Claude Code, the real program: from a bare URL to an answer that its model gets."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.children import in_thread
from tests.hosts.bench import bare_environment
from tests.hosts.installing import node, npm_packages
from tests.hosts.model_service.app import create_model_service
from tests.hosts.model_service.conversation import Model, ask
from tests.signin.stage import QUESTION, Stage, browser_script, stage

PACKAGE = "@anthropic-ai/claude-code"
_SECONDS = 60


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    """A provider that registers clients: the program's own metadata document is at claude.ai, out of reach here."""
    with stage(tmp_path, documents=False) as found:
        yield found


def run(command: list[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, cwd=environment["HOME"], check=False, capture_output=True, text=True,
        timeout=_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
    return done.stdout


def run_at_terminal(command: list[str | Path], environment: dict[str, str]) -> str:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command, env=environment, cwd=environment["HOME"], stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    shown, deadline = b"", time.monotonic() + _SECONDS
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                shown += os.read(ours, 65_536)
            except OSError:  # Linux says so when the program is gone and all of it was read
                break
        assert process.wait(5) == 0, shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode(errors="replace")


def test_it_logs_in_and_its_model_gets_an_answer(scene: Stage, tmp_path: Path) -> None:
    """`claude mcp login` opens the page that `BROWSER` shows. Its model asks with the token from there."""
    claude = npm_packages("claude_code", PACKAGE) / "claude"
    browser = browser_script(tmp_path)
    environment = bare_environment(tmp_path / "home", node(), BROWSER=str(browser))
    run([claude, "mcp", "add", "--scope", "user", "--transport", "http", "contit", scene.url], environment)
    assert "Authenticated" in run_at_terminal([claude, "mcp", "login", "contit"], environment | {"TERM": "xterm"})
    assert "Connected" in run([claude, "mcp", "list"], environment)
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"contit": {"type": "http", "url": scene.url}}}))
    model = Model()
    model.play(ask(QUESTION))
    with in_thread(create_model_service(model)) as model_url:
        model_at = {"ANTHROPIC_BASE_URL": model_url, "ANTHROPIC_API_KEY": "sk-made-up"}
        options: list[str | Path] = [
            "--bare",
            "--mcp-config",
            config,
            "--strict-mcp-config",
            "--allowedTools",
            "mcp__contit__*",
        ]
        run([claude, "-p", "go", *options], environment | model_at)
    (answer,) = model.seen
    assert "draft" in answer
    assert scene.answered()[-1]["host"] == "claude-code"
