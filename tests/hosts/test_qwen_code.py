"""Qwen Code, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@qwen-code/qwen-code"


def start(trial: Trial) -> None:
    """Run it once with our entry in its file."""
    entry = trial.entry
    server = (
        {"command": str(entry.command), "args": ["stdio"], "env": entry.environment}
        if entry.command
        else {"httpUrl": entry.url, "headers": entry.headers}
    )
    settings = {
        "security": {"auth": {"selectedType": "openai"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
        "mcpServers": {"contit-assistant": server},
    }
    (trial.home / ".qwen").mkdir(parents=True)
    (trial.home / ".qwen" / "settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    command = npm_packages("qwen_code", PACKAGE) / "qwen"
    trial.run(
        [command, "--approval-mode", "yolo", "--output-format", "json", "-m", "stand-in", "-p", "go"],
        node(),
        OPENAI_API_KEY="made-up",
        OPENAI_BASE_URL=f"{trial.bench.model_url}/v1",
        OPENAI_MODEL="stand-in",
    )


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model text and structure, and its model finds the tools by `tool_search`."""
    row = trial.converse("Qwen Code", lambda: start(trial), version=npm_version(PACKAGE))
    assert (row.saw, row.waits) == ("both", 45 if trial.entry.command else 25)
