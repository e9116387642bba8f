"""Gemini CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@google/gemini-cli"


def start(trial: Trial) -> None:
    """Run it once with our entry in its file."""
    entry = trial.entry
    server = (
        {"command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"httpUrl": entry.url, "headers": entry.headers}
    )
    write_settings(trial, mcpServers={"contit-assistant": server})
    go(trial)


def write_settings(trial: Trial, **more: object) -> None:
    """Its file."""
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
        **more,
    }
    (trial.home / ".gemini").mkdir(parents=True)
    (trial.home / ".gemini" / "settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def go(trial: Trial, **environment: str) -> None:
    """Run it once, without a terminal, its model the stand-in."""
    command = npm_packages("gemini_cli", PACKAGE) / "gemini"
    said = trial.run(
        [command, "-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-o", "json", "-p", "go"],
        node(),
        GEMINI_API_KEY="made-up",
        GOOGLE_GEMINI_BASE_URL=trial.bench.model_url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        **environment,
    )
    assert json.loads(said)["stats"]["tools"]["totalSuccess"] == 2


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself.

    It adds `wait_for_previous` to the schema of every tool, and passes it to the server where its model sets it.
    """
    version = npm_version(PACKAGE)
    row = trial.converse("Gemini CLI", lambda: start(trial), version=version, wait_for_previous=True)
    assert [call["dropped_arguments"] for call in trial.entry.calls()[-2:]] == [1, 1]
    assert row.saw == "text"
    assert row.waits == (240 if trial.entry.command else 25)


def test_what_install_writes_works_in_it(installed: Trial) -> None:
    """Nothing else is needed."""
    write_settings(installed)
    installed.install("gemini-cli")
    installed.converse_alone(lambda: go(installed, **installed.token_variable))
