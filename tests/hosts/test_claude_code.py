"""Claude Code, the real program, before a stand-in for its model."""

import json

from tests.hosts.installing import npm_packages
from tests.hosts.model_service.conversation import ask, fetch
from tests.hosts.trials import Trial, npm_version

PACKAGE = "@anthropic-ai/claude-code"


def start(trial: Trial, **environment: str) -> None:
    """Run it once with the entry that install writes.

    Without a terminal it waits for no server, and its model looks for tools when it wants them; both unless told.
    """
    trial.install("claude-code")
    command = npm_packages("claude_code", PACKAGE) / "claude"
    allowed = ("--allowedTools", "mcp__contit-assistant__*")
    said = trial.run(
        [command, "-p", "go", *allowed, "--output-format", "json"],
        ANTHROPIC_BASE_URL=trial.bench.model_url,
        ANTHROPIC_API_KEY="sk-made-up",
        MCP_CONNECTION_NONBLOCKING="false",
        CLAUDE_CODE_MCP_STARTUP_WAIT_MS="60000",
        ENABLE_TOOL_SEARCH="false",
        **trial.token_variable,
        **environment,
    )
    assert json.loads(said)["result"] == "That is all."


def test_its_model_gets_both_answers_whole_with_their_ids(trial: Trial) -> None:
    """Measured: it shows its model the structure alone, and names itself."""
    row = trial.converse("Claude Code", lambda: start(trial), version=npm_version(PACKAGE))
    assert (row.saw, row.waits) == ("structure", 240)


def test_an_answer_later_than_the_call_is_fetched_by_its_ids(slow_trial: Trial, question: str) -> None:
    """The call ends as `in_progress`, with all that the next one needs (design, section 2)."""
    first, second = slow_trial.wait_twice(lambda: start(slow_trial), ask(question, wait_seconds=1), fetch())
    assert '"in_progress"' in first
    assert '"completed"' in second


def test_after_the_host_itself_gave_up_the_same_question_joins_its_run(slow_trial: Trial, question: str) -> None:
    """Its hard limit, set to 5 s here, is a result without ids; nothing is lost, nothing asked twice (design)."""
    steps = ask(question), ask(question, wait_seconds=2), fetch()
    first, *_ = slow_trial.wait_twice(lambda: start(slow_trial, MCP_TOOL_TIMEOUT="5000"), *steps)
    assert "thread_id" not in first
