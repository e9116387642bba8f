"""Gemini CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@google/gemini-cli"


def start(trial: Trial) -> None:
    """Run it once with the entry that install writes, its model the stand-in."""
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
    }
    (trial.home / ".gemini").mkdir(parents=True)
    (trial.home / ".gemini" / "settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    trial.install("gemini-cli")
    command = npm_packages("gemini_cli", PACKAGE) / "gemini"
    said = trial.run(
        [command, "-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-o", "json", "-p", "go"],
        node(),
        GEMINI_API_KEY="made-up",
        GOOGLE_GEMINI_BASE_URL=trial.bench.model_url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        **trial.token_variable,
    )
    assert json.loads(said)["stats"]["tools"]["totalSuccess"] == 2


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself.

    It adds `wait_for_previous` to the schema of every tool, and passes it to the server where its model sets it.
    """
    version = npm_version(PACKAGE)
    row = trial.converse("Gemini CLI", lambda: start(trial), version=version, wait_for_previous=True)
    assert [call["dropped_arguments"] for call in trial.entry.calls()[-2:]] == [1, 1]
    assert (row.saw, row.waits) == ("text", 240 if trial.entry.command else 25)
