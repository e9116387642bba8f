"""The command line of the MCP Inspector."""

import json
from pathlib import Path
from typing import Any

import pytest

from contit_mcp.server.prompts import jobs
from tests.hosts.bench import FOLLOW_UP, QUESTION
from tests.hosts.installing import node, npm_packages
from tests.hosts.trials import Trial

PACKAGE = "@modelcontextprotocol/inspector"


def inspect(trial: Trial, era: str, *arguments: str) -> dict[str, Any]:
    """One request; its result."""
    entry = trial.entry
    if entry.command:
        variables = [part for name, value in entry.environment.items() for part in ("-e", f"{name}={value}")]
        target: list[str | Path] = [*variables, "--", entry.command, "stdio"]
    else:
        headers = [part for name, value in entry.headers.items() for part in ("--header", f"{name}: {value}")]
        target = ["--transport", "http", "--server-url", entry.url, *headers]
    command = npm_packages("inspector", PACKAGE) / "mcp-inspector"
    options = ["--cli", "--format", "json", "-q", "--stored-auth-only", "--protocol-era", era]
    found: dict[str, Any] = json.loads(trial.run([command, *options, *arguments, *target], node()))["result"]
    return found


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_gets_the_answers_and_ids_in_text_and_in_structure(trial: Trial, era: str) -> None:
    """Each of the two stands alone (design). `--strict` finds nothing in the schemas that a host could stumble over."""

    def ask(**arguments: str) -> dict[str, Any]:
        call = ("--method", "tools/call", "--tool-name", "contit_ask", "--tool-args-json", json.dumps(arguments))
        return inspect(trial, era, *call)

    def start() -> str:
        strict = ["--strict"] if era == "legacy" else []
        tools = [tool["name"] for tool in inspect(trial, era, *strict, "--method", "tools/list")["tools"]]
        first = ask(prompt=QUESTION)
        second = ask(prompt=FOLLOW_UP, thread_id=first["structuredContent"]["thread_id"])
        results = [
            {"content": it["content"], "structured": it["structuredContent"], "isError": it.get("isError", False)}
            for it in (first, second)
        ]
        return json.dumps({"tools": tools, "results": results})

    trial.call(start)
    if era == "modern":
        assert len(inspect(trial, era, "--method", "skills/list")["skills"]) == len(jobs())
