"""Hosts with the entry that install writes, and frameworks for agents: real ones before a stand-in for their model."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.hosts.installing import node, npm_packages, python_packages
from tests.hosts.model_service.conversation import ask, fetch
from tests.hosts.trials import Trial

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
    """Without a terminal it waits for no server, and its model looks for tools when it wants them; both unless told."""
    trial.install("claude-code")
    command = npm_packages("claude_code", "@anthropic-ai/claude-code") / "claude"
    allowed = ("--allowedTools", "mcp__contit-assistant__*")
    said = trial.run(
        [command, "-p", "go", *allowed, "--output-format", "json"],
        ANTHROPIC_BASE_URL=trial.bench.model_url,
        ANTHROPIC_API_KEY="sk-made-up",
        MCP_CONNECTION_NONBLOCKING="false",
        CLAUDE_CODE_MCP_STARTUP_WAIT_MS="60000",
        ENABLE_TOOL_SEARCH="false",
        **trial.token_variable,
        **({"MCP_TOOL_TIMEOUT": f"{seconds}000"} if seconds else {}),
    )
    assert json.loads(said)["result"] == "That is all."


def codex(trial: Trial, seconds: int | None = None) -> None:
    """The entry is required: otherwise a server that does not start is left out without a word."""
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


def gemini_cli(trial: Trial) -> None:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
    }
    trial.write(".gemini/settings.json", settings)
    trial.install("gemini-cli")
    said = trial.run(
        [npm_packages("gemini_cli", "@google/gemini-cli") / "gemini", "-m", "gemini-2.5-flash",
         "--approval-mode", "yolo", "-o", "json", "-p", "go"],
        node(),
        GEMINI_API_KEY="made-up",
        GOOGLE_GEMINI_BASE_URL=trial.bench.model_url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        **trial.token_variable,
    )  # fmt: skip
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
    """Install does not know it, so its entry is written here. Its model finds the tools by `tool_search`."""
    entry = trial.entry.plain()
    wanted = ("command", "args", "env") if entry["command"] else ("headers",)
    server = {name: entry[name] for name in wanted} | ({} if entry["command"] else {"httpUrl": entry["url"]})
    settings = {
        "security": {"auth": {"selectedType": "openai"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
        "mcpServers": {"contit-assistant": server},
    }
    trial.write(".qwen/settings.json", settings)
    trial.run(
        [npm_packages("qwen_code", "@qwen-code/qwen-code") / "qwen", "--approval-mode", "yolo",
         "--output-format", "json", "-m", "stand-in", "-p", "go"],
        node(),
        OPENAI_API_KEY="made-up",
        OPENAI_BASE_URL=f"{trial.bench.model_url}/v1",
        OPENAI_MODEL="stand-in",
    )  # fmt: skip


def agent(framework: str, trial: Trial) -> None:
    trial.program(f"{framework}_agent.py", python_packages(framework) / "python")


FRAMEWORKS = [
    # environment, what its model sees, how long its calls wait
    ("google_adk", "both", 45),
    ("langchain", "text", 25),
    ("langchain_mcp", "text", 45),
    ("llama_index", "both", 25),
    ("openai_agents", "text", 25),
    ("pydantic_ai", "structure", 45),
    ("strands", "text", 25),
]
MEASURED = [
    # host, what its model sees, how long its calls wait over stdio and over HTTP, where some do not name themselves
    (claude_code, "structure", 240, 240),
    (codex, "structure", 240, 240),
    (continue_cli, "text", 45, 25),
    (gemini_cli, "text", 240, 25),
    (opencode, "text", 45, 45),
    (qwen_code, "both", 45, 25),
    *(pytest.param(partial(agent, name), saw, waits, waits, id=name) for name, saw, waits in FRAMEWORKS),
]
LIMITED = pytest.mark.parametrize("start", [claude_code, codex])


@pytest.mark.parametrize(("start", "saw", "stdio", "http"), MEASURED)
def test_its_model_gets_both_answers_whole_with_their_ids(
    start: Callable[[Trial], None], saw: str, stdio: float, http: float, trial: Trial
) -> None:
    """Gemini CLI adds `wait_for_previous` to the schema of every tool, and passes it on where its model sets it."""
    more: dict[str, Any] = {"wait_for_previous": True} if start is gemini_cli else {}
    seen = trial.converse(lambda: start(trial), **more)
    assert seen == (saw, stdio if trial.entry.command else http)


@LIMITED
def test_an_answer_later_than_the_call_is_fetched_by_its_ids(
    start: Callable[[Trial], None], slow_trial: Trial, question: str
) -> None:
    """The call ends as `in_progress`, with all that the next one needs (design, section 2)."""
    first, second = slow_trial.wait_twice(lambda: start(slow_trial), ask(question, wait_seconds=1), fetch())
    assert "in_progress" in first
    assert "completed" in second


@LIMITED
def test_after_the_host_itself_gave_up_the_same_question_joins_its_run(
    start: Callable[[Trial, int], None], slow_trial: Trial, question: str
) -> None:
    """Its limit, set to 5 s here, is a result without ids; nothing is lost, nothing asked twice (design)."""
    steps = ask(question), ask(question, wait_seconds=2), fetch()
    first, *_ = slow_trial.wait_twice(lambda: start(slow_trial, 5), *steps)
    assert "thread_id" not in first
