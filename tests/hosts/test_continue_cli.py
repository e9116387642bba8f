"""Continue's command line, the real program, before a stand-in for its model."""

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
    """Run it once with the entry that install writes; a token is a secret in a file of its own (docs/hosts.md)."""
    file = trial.home / ".continue" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SETTINGS.format(url=trial.bench.model_url), encoding="utf-8")
    secrets = "".join(f"{name}={value}\n" for name, value in trial.token_variable.items())
    file.with_name(".env").write_text(secrets, encoding="utf-8")
    trial.install("continue")
    command = npm_packages("continue_cli", PACKAGE) / "cn"
    options = ("--config", file, "--auto", "--format", "json")
    trial.run([command, "-p", "go", *options], node(), CONTINUE_TELEMETRY_ENABLED="0")


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself."""
    row = trial.converse("Continue CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert (row.saw, row.waits) == ("text", 45 if trial.entry.command else 25)
