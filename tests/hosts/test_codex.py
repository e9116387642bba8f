"""Codex CLI, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.model_service.conversation import ask, fetch
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@openai/codex"


def start(trial: Trial, **settings: object) -> None:
    """Run it once with the entry that install writes, and with `settings` of the entry.

    `required` is one: otherwise a server that does not start is left out without a word.
    """
    (trial.home / ".codex").mkdir(parents=True)
    (trial.home / ".codex" / "config.toml").write_text(
        'model = "stand-in"\nmodel_provider = "stand-in"\n[model_providers.stand-in]\nname = "stand-in"\n'
        f'base_url = "{trial.bench.model_url}/v1"\nwire_api = "responses"\nenv_key = "STAND_IN_KEY"\n',
        encoding="utf-8",
    )
    trial.install("codex")
    beside = [f"mcp_servers.contit-assistant.{name}={json.dumps(value)}" for name, value in settings.items()]
    options = [part for setting in ("mcp_servers.contit-assistant.required=true", *beside) for part in ("-c", setting)]
    command = npm_packages("codex", PACKAGE) / "codex"
    fixed = ("exec", "--skip-git-repo-check", "--json")
    trial.run([command, *fixed, *options, "go"], STAND_IN_KEY="k", **trial.token_variable)


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone, and names itself. Tools that only read need no approval."""
    row = trial.converse("Codex CLI", lambda: start(trial), version=npm_version(PACKAGE))
    assert (row.saw, row.waits) == ("structure", 240)


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
