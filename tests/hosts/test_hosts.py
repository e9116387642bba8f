"""Real hosts with the entry that `install` writes, and real agent frameworks, with a stand-in for the model."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.hosts.bench import Trial
from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.model_service.conversation import ask, fetch

CONTINUE_SETTINGS = """\
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
CODEX_SETTINGS = """\
model = "stand-in"
model_provider = "stand-in"
[model_providers.stand-in]
name = "stand-in"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "STAND_IN_KEY"
"""


def claude_code(trial: Trial, seconds: int | None = None) -> None:
    """By default it would wait for no server, and its model would search for tools; both are switched off."""
    trial.install("claude-code")
    command = npm_packages("claude_code", "@anthropic-ai/claude-code") / "claude"
    allowed = ("--allowedTools", "mcp__contit-assistant__*")
    variables = {"ANTHROPIC_BASE_URL": trial.bench.model_url, "ANTHROPIC_API_KEY": "sk-made-up"} | trial.token_variable
    variables |= {"MCP_CONNECTION_NONBLOCKING": "false", "CLAUDE_CODE_MCP_STARTUP_WAIT_MS": "60000"}
    variables |= {"ENABLE_TOOL_SEARCH": "false"} | ({"MCP_TOOL_TIMEOUT": f"{seconds}000"} if seconds else {})
    said = trial.run([command, "-p", "go", *allowed, "--output-format", "json"], **variables)
    assert json.loads(said)["result"] == "That is all."


def codex(trial: Trial, seconds: int | None = None) -> None:
    """The server is required: otherwise Codex goes on silently without one that does not start."""
    trial.write(".codex/config.toml", CODEX_SETTINGS.format(url=trial.bench.model_url))
    trial.install("codex")
    settings = ["required=true", *([f"tool_timeout_sec={seconds}"] if seconds else [])]
    options = [part for setting in settings for part in ("-c", f"mcp_servers.contit-assistant.{setting}")]
    command = npm_packages("codex", "@openai/codex") / "codex"
    fixed = ("exec", "--skip-git-repo-check", "--json")
    trial.run([command, *fixed, *options, "go"], STAND_IN_KEY="k", **trial.token_variable)


def continue_cli(trial: Trial) -> None:
    """A token is a secret in a file of its own (docs/hosts.md)."""
    file = trial.write(".continue/config.yaml", CONTINUE_SETTINGS.format(url=trial.bench.model_url))
    secrets = "".join(f"{name}={value}\n" for name, value in trial.token_variable.items())
    trial.write(".continue/.env", secrets)
    trial.install("continue")
    command = npm_packages("continue_cli", "@continuedev/cli") / "cn"
    options = ("--config", file, "--auto", "--format", "json")
    trial.run([command, "-p", "go", *options], node(), CONTINUE_TELEMETRY_ENABLED="0")


# Qwen Code is a fork of Gemini CLI.
GEMINI_SETTINGS = {"privacy": {"usageStatisticsEnabled": False}, "general": {"disableAutoUpdate": True}}


def gemini_cli(trial: Trial) -> None:
    auth = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    trial.write(".gemini/settings.json", GEMINI_SETTINGS | auth)
    trial.install("gemini-cli")
    command = npm_packages("gemini_cli", "@google/gemini-cli") / "gemini"
    options = ("-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-o", "json", "-p", "go")
    model = {"GEMINI_API_KEY": "made-up", "GOOGLE_GEMINI_BASE_URL": trial.bench.model_url}
    variables = {"GEMINI_CLI_TRUST_WORKSPACE": "true"} | model | trial.token_variable
    said = trial.run([command, *options], node(), **variables)
    assert json.loads(said)["stats"]["tools"]["totalSuccess"] == 2
    assert [call["dropped_arguments"] for call in trial.entry.calls()[-2:]] == [1, 1]


def opencode(trial: Trial) -> None:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{trial.bench.model_url}/v1", "apiKey": "made-up"},
        "models": {"stand-in": {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}},
    }
    settings = {"provider": {"stand-in": provider}, "model": "stand-in/stand-in", "autoupdate": False}
    trial.write(".config/opencode/opencode.json", settings)
    trial.install("opencode")
    command = npm_packages("opencode", "opencode-ai") / "opencode"
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_SHARE": "1"}
    trial.run([command, "run", "--pure", "--format", "json", "go"], **quiet, **trial.token_variable)


def qwen_code(trial: Trial) -> None:
    """`install` does not know this host, so the entry is written here. Its model finds the tools by `tool_search`."""
    entry = trial.entry.plain()
    wanted = ("command", "args", "env") if entry["command"] else ("headers",)
    server = {name: entry[name] for name in wanted} | ({} if entry["command"] else {"httpUrl": entry["url"]})
    more = {"security": {"auth": {"selectedType": "openai"}}, "mcpServers": {"contit-assistant": server}}
    trial.write(".qwen/settings.json", GEMINI_SETTINGS | more)
    command = npm_packages("qwen_code", "@qwen-code/qwen-code") / "qwen"
    options = ("--approval-mode", "yolo", "--output-format", "json", "-m", "stand-in", "-p", "go")
    model = {"OPENAI_API_KEY": "made-up", "OPENAI_BASE_URL": f"{trial.bench.model_url}/v1", "OPENAI_MODEL": "stand-in"}
    trial.run([command, *options], node(), **model)


def agent(framework: str, trial: Trial) -> None:
    trial.program(f"{framework}_agent.py", python_packages(framework) / "python")


@pytest.mark.parametrize(
    ("start", "saw", "stdio", "http"),  # how long a call waits over stdio, and over HTTP, where some give no name
    [
        (claude_code, "structure", 240, 240),
        (codex, "structure", 240, 240),
        (continue_cli, "text", 45, 25),
        (gemini_cli, "text", 240, 25),
        (opencode, "text", 45, 45),
        (qwen_code, "both", 45, 25),
        pytest.param(partial(agent, "google_adk"), "both", 45, 45, id="google_adk"),
        pytest.param(partial(agent, "langchain"), "text", 25, 25, id="langchain"),
        pytest.param(partial(agent, "langchain_mcp"), "text", 45, 45, id="langchain_mcp"),
        pytest.param(partial(agent, "llama_index"), "both", 25, 25, id="llama_index"),
        pytest.param(partial(agent, "openai_agents"), "text", 25, 25, id="openai_agents"),
        pytest.param(partial(agent, "pydantic_ai"), "structure", 45, 45, id="pydantic_ai"),
        pytest.param(partial(agent, "strands"), "text", 25, 25, id="strands"),
    ],
)
def test_a_hosts_model_gets_both_answers_whole_with_their_ids(
    start: Callable[[Trial], None], saw: str, stdio: float, http: float, trial: Trial
) -> None:
    """Gemini CLI adds `wait_for_previous` to the schema of every tool, and passes it on if its model sets it."""
    more: dict[str, Any] = {"wait_for_previous": True} if start is gemini_cli else {}
    seen = trial.check_model(lambda: start(trial), **more)
    assert seen == (saw, stdio if trial.entry.command else http)


@pytest.mark.parametrize("start", [claude_code, codex])
def test_an_answer_later_than_the_call_is_fetched_by_its_ids(
    start: Callable[[Trial], None], slow_trial: Trial, question: str
) -> None:
    """The call ends as `in_progress`, with all that the next call needs."""
    first, second = slow_trial.check_late_answer(lambda: start(slow_trial), ask(question, wait_seconds=1), fetch())
    assert "in_progress" in first
    assert "completed" in second


@pytest.mark.parametrize("start", [claude_code, codex])
def test_after_the_host_itself_gave_up_the_same_question_gets_the_same_run(
    start: Callable[[Trial, int], None], slow_trial: Trial, question: str
) -> None:
    """The host's own limit, here 5 s, makes a result without ids. No answer is lost, and no question asked twice."""
    steps = ask(question), ask(question, wait_seconds=2), fetch()
    first, *_ = slow_trial.check_late_answer(lambda: start(slow_trial, 5), *steps)
    assert "thread_id" not in first
