"""Codex CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@openai/codex"


def start(trial: Trial, **settings: int) -> None:
    """Run it once, without a terminal. `settings` belong to the server's entry."""
    entry = trial.entry
    lines = [
        'model = "stand-in"',
        'model_provider = "stand-in"',
        "[model_providers.stand-in]",
        'name = "stand-in"',
        f"base_url = {json.dumps(f'{trial.bench.model_url}/v1')}",
        'wire_api = "responses"',
        'env_key = "STAND_IN_KEY"',
        "[mcp_servers.contit-assistant]",
        "required = true",  # otherwise a server that does not start is left out without a word
        'default_tools_approval_mode = "approve"',
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    if entry.command:
        lines += [f"command = {json.dumps(str(entry.command))}", 'args = ["stdio"]']
        lines += ["[mcp_servers.contit-assistant.env]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in entry.environment.items()]
    else:
        lines += [f"url = {json.dumps(entry.url)}"]
        lines += ['bearer_token_env_var = "CONTIT_BEARER"'] if entry.token else []
    (trial.home / ".codex").mkdir(parents=True)
    (trial.home / ".codex" / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    command = npm_packages("codex", PACKAGE) / "codex"
    trial.run(
        [command, "exec", "--skip-git-repo-check", "--json", "go"], STAND_IN_KEY="k", CONTIT_BEARER=entry.token or ""
    )


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone."""
    trial.converse("Codex CLI", lambda: start(trial), version=npm_version(PACKAGE))
