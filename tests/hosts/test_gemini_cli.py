"""Gemini CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@google/gemini-cli"


def start(trial: Trial) -> None:
    """Run it once, without a terminal."""
    entry = trial.entry
    server = (
        {"command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"httpUrl": entry.url, "headers": entry.headers}
    )
    settings = {
        "mcpServers": {"contit-assistant": server},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
    }
    (trial.home / ".gemini").mkdir(parents=True)
    (trial.home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    said = trial.run(
        [
            npm_packages("gemini_cli", PACKAGE) / "gemini", "-m", "gemini-2.5-flash", "--approval-mode", "yolo",
            "-o", "json", "-p", "go",
        ],
        node(),
        GEMINI_API_KEY="made-up",
        GOOGLE_GEMINI_BASE_URL=trial.bench.model_url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
    )  # fmt: skip
    assert json.loads(said)["stats"]["tools"]["totalSuccess"] == 2


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and over HTTP does not name itself."""
    row = trial.converse("Gemini CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert row.saw == "text"
    assert row.waits == (240 if trial.entry.command else 25)
