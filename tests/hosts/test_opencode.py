"""opencode, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "opencode-ai"


def start(trial: Trial) -> None:
    """Run it once with the entry that install writes, its model the stand-in."""
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{trial.bench.model_url}/v1", "apiKey": "made-up"},
        "models": {"stand-in": {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}},
    }
    settings = {"provider": {"stand-in": provider}, "model": "stand-in/stand-in", "autoupdate": False}
    folder = trial.home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    trial.install("opencode")
    command = npm_packages("opencode", PACKAGE) / "opencode"
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_SHARE": "1"}
    trial.run([command, "run", "--pure", "--format", "json", "go"], **quiet, **trial.token_variable)


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the text alone, and names itself, over HTTP in its User-Agent."""
    row = trial.converse("opencode", lambda: start(trial), version=npm_version(PACKAGE))
    assert (row.saw, row.waits) == ("text", 45)
