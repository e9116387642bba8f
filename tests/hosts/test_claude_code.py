"""Claude Code, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@anthropic-ai/claude-code"


def start(trial: Trial, **environment: str) -> None:
    """Run it once, without a terminal."""
    entry = trial.entry
    server = (
        {"type": "stdio", "command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"type": "http", "url": entry.url, "headers": entry.headers}
    )
    trial.home.mkdir()
    config = trial.home / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"contit-assistant": server}}), encoding="utf-8")
    said = trial.run(
        [
            npm_packages("claude_code", PACKAGE) / "claude", "--bare", "-p", "go", "--mcp-config", config,
            "--strict-mcp-config", "--allowedTools", "mcp__contit-assistant__*", "--output-format", "json",
        ],
        ANTHROPIC_BASE_URL=trial.bench.model_url,
        ANTHROPIC_API_KEY="sk-made-up",
        **environment,
    )  # fmt: skip
    assert json.loads(said)["result"] == "That is all."


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone."""
    trial.converse("Claude Code", lambda: start(trial), version=npm_version(PACKAGE))
