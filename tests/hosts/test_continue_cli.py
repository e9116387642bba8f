"""Continue's command line, the real program, before a stand-in for its model."""

import json
from pathlib import Path

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@continuedev/cli"
SETTINGS = """\
name: tests
version: 0.0.1
schema: v1
models:
  - name: stand-in
    provider: openai
    model: gpt-4o
    apiKey: made-up
    apiBase: {url}/v1
    roles: [chat]
    capabilities: [tool_use]
"""


def start(trial: Trial) -> None:
    """Run it once with our entry in its file."""
    entry = trial.entry
    server = (
        {"command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"type": "streamable-http", "url": entry.url, "requestOptions": {"headers": entry.headers}}
    )
    # JSON is a part of YAML.
    file = write_settings(trial, f"mcpServers: {json.dumps([{'name': 'contit-assistant', **server}])}\n")
    go(trial, file)


def write_settings(trial: Trial, more: str = "") -> Path:
    """Its file, with the stand-in as its model."""
    file = trial.home / ".continue" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SETTINGS.format(url=trial.bench.model_url) + more, encoding="utf-8")
    return file


def go(trial: Trial, file: Path, **environment: str) -> None:
    """Run it once, without a terminal."""
    command = npm_packages("continue_cli", PACKAGE) / "cn"
    options = ("--config", file, "--auto", "--format", "json")
    trial.run([command, "-p", "go", *options], node(), CONTINUE_TELEMETRY_ENABLED="0", **environment)


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself."""
    row = trial.converse("Continue CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert row.saw == "text"
    assert row.waits == (45 if trial.entry.command else 25)


def test_what_install_writes_works_in_it(installed: Trial) -> None:
    """A remote server's token is a secret of its own, kept in a file of its own (docs/hosts.md)."""
    file = write_settings(installed)
    installed.install("continue")
    secrets = "".join(f"{name}={value}\n" for name, value in installed.token_variable.items())
    (installed.home / ".continue" / ".env").write_text(secrets, encoding="utf-8")
    installed.converse_alone(lambda: go(installed, file))
