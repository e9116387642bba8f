"""Continue's command line, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@continuedev/cli"


def start(trial: Trial) -> None:
    """Run it once, without a terminal. Its configuration is YAML, of which JSON is a part."""
    entry = trial.entry
    server = (
        {"command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"type": "streamable-http", "url": entry.url, "requestOptions": {"headers": entry.headers}}
    )
    model = {
        "name": "stand-in",
        "provider": "openai",
        "model": "gpt-4o",
        "apiKey": "made-up",
        "apiBase": f"{trial.bench.model_url}/v1",
        "roles": ["chat"],
        "capabilities": ["tool_use"],
    }
    config = {
        "name": "tests",
        "version": "0.0.1",
        "schema": "v1",
        "models": [model],
        "mcpServers": [{"name": "contit-assistant", **server}],
    }
    trial.home.mkdir()
    file = trial.home / "config.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")
    trial.run(
        [npm_packages("continue_cli", PACKAGE) / "cn", "-p", "go", "--config", file, "--auto", "--format", "json"],
        node(),
        CONTINUE_TELEMETRY_ENABLED="0",
    )


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself."""
    row = trial.converse("Continue CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert row.saw == "text"
    assert row.waits == (45 if trial.entry.command else 25)
