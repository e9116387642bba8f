"""Codex CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.model_service.conversation import ask, fetch
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@openai/codex"


def start(trial: Trial, **settings: int) -> None:
    """Run it once with our entry in its file. `settings` belong to the entry."""
    entry = trial.entry
    lines = [
        "[mcp_servers.contit-assistant]",
        "required = true",  # otherwise a server that does not start is left out without a word
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    if entry.command:
        lines += [f"command = {json.dumps(str(entry.command))}", 'args = ["stdio"]']
        lines += ["[mcp_servers.contit-assistant.env]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in entry.environment.items()]
    else:
        lines += [f"url = {json.dumps(entry.url)}"]
        lines += ['bearer_token_env_var = "CONTIT_BEARER"'] if entry.token else []
    write_settings(trial, *lines)
    go(trial, CONTIT_BEARER=entry.token or "")


def write_settings(trial: Trial, *more: str) -> None:
    """Its file, with the stand-in as its model."""
    lines = [
        'model = "stand-in"',
        'model_provider = "stand-in"',
        "[model_providers.stand-in]",
        'name = "stand-in"',
        f"base_url = {json.dumps(f'{trial.bench.model_url}/v1')}",
        'wire_api = "responses"',
        'env_key = "STAND_IN_KEY"',
        *more,
    ]
    (trial.home / ".codex").mkdir(parents=True)
    (trial.home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def go(trial: Trial, *options: str, **environment: str) -> None:
    """Run it once, without a terminal."""
    command = npm_packages("codex", PACKAGE) / "codex"
    trial.run([command, "exec", "--skip-git-repo-check", *options, "--json", "go"], STAND_IN_KEY="k", **environment)


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone, and names itself."""
    row = trial.converse("Codex CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert row.saw == "structure"
    assert row.waits == 240


def test_an_answer_later_than_the_call_is_fetched_by_its_ids(slow_trial: Trial, question: str) -> None:
    """The call ends as `in_progress`, with all that the next one needs (design, section 2)."""
    first, second = slow_trial.wait_twice(lambda: start(slow_trial), ask(question, wait_seconds=1), fetch())
    assert "in_progress" in first
    assert "completed" in second


def test_after_the_host_itself_gave_up_the_same_question_joins_its_run(slow_trial: Trial, question: str) -> None:
    """Its limit, set to 5 s here, is an error without ids; nothing is lost, nothing asked twice (design)."""
    steps = ask(question), ask(question, wait_seconds=2), fetch()
    first, *_ = slow_trial.wait_twice(lambda: start(slow_trial, tool_timeout_sec=5), *steps)
    assert "thread_id" not in first


def test_what_install_writes_works_in_it(installed: Trial) -> None:
    """Tools that only read need no approval. `required` is set because nobody can ask again when the server is ready."""
    write_settings(installed)
    installed.install("codex")
    beside = ("-c", "mcp_servers.contit-assistant.required=true")
    installed.converse_alone(lambda: go(installed, *beside, **installed.token_variable))
