"""Prompts for editors' jobs, in English and Italian, and the values that a host can complete. Source: jobs.toml."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

LANGUAGES = ("en", "it")
_LANGUAGE = types.PromptArgument(name="language", description="en or it; en by default.", required=False)
_LONGEST_ARGUMENT = 2_000
_MOST_VALUES = 100
"""The specification's limit for one answer to a completion."""

_VALUES = {
    "language": LANGUAGES,
    "locale": ("en", "it", "de"),
    "content_type": ("articles", "products", "pages", "articoli", "prodotti", "pagine"),
    "period": (
        "last 7 days", "last 30 days", "last month", "this month", "this year",
        "ultimi 7 giorni", "ultimi 30 giorni", "mese scorso", "questo mese", "quest'anno",
    ),
}  # fmt: skip
"""Values of arguments that are known without asking Contit."""


@cache
def jobs() -> dict[str, Any]:
    """Return the jobs by name, as jobs.toml defines them."""
    return tomllib.loads(files("contit_mcp.server").joinpath("jobs.toml").read_text(encoding="utf-8"))


def list_prompts() -> types.ListPromptsResult:
    """Return all prompts, described in English."""
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                title=job["title"]["en"],
                description=job["description"]["en"],
                arguments=[
                    *(
                        types.PromptArgument(
                            name=argument, description=known["description"]["en"], required=known.get("required", False)
                        )
                        for argument, known in job.get("arguments", {}).items()
                    ),
                    _LANGUAGE,
                ],
            )
            for name, job in jobs().items()
        ]
    )


def get_prompt(name: str, arguments: dict[str, str] | None) -> types.GetPromptResult:
    """Return one prompt with its arguments filled in.

    Raises:
        MCPError: The prompt is unknown, or an argument is missing or too long.
    """
    job = jobs().get(name)
    if job is None:
        raise MCPError(types.INVALID_PARAMS, f"There is no such prompt. The prompts are: {', '.join(jobs())}.")
    given = {key: value.strip() for key, value in (arguments or {}).items() if value.strip()}
    language = given.get("language", "en").casefold()[:2]
    language = language if language in LANGUAGES else "en"
    for argument, known in job.get("arguments", {}).items():
        if known.get("required") and argument not in given:
            raise MCPError(types.INVALID_PARAMS, f"{argument} is required. {known['description'][language]}")
        if len(given.get(argument, "")) > _LONGEST_ARGUMENT:
            raise MCPError(types.INVALID_PARAMS, f"{argument} has more than {_LONGEST_ARGUMENT} characters.")
    text = filled_in(job["text"][language], {name: given.get(name) for name in job.get("arguments", {})})
    return types.GetPromptResult(
        description=job["description"][language],
        messages=[types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))],
    )


def filled_in(text: str, arguments: dict[str, str | None]) -> str:
    """Return the text with its arguments; a line with an argument that is absent is left out."""
    lines = []
    for line in text.strip().splitlines():
        names = re.findall(r"\{(\w+)\}", line)
        if all(arguments.get(name) is not None for name in names):
            lines.append(re.sub(r"\{(\w+)\}", lambda found: arguments[found[1]] or "", line))
    return "\n".join(lines)


def complete_prompt(argument: str, value: str) -> list[str]:
    """Return the known values of a prompt's argument that start with, or contain, what was typed."""
    typed = value.strip().casefold()
    known = _VALUES.get(argument, ())
    starts = [each for each in known if each.casefold().startswith(typed)]
    return [*starts, *(each for each in known if typed in each.casefold() and each not in starts)][:_MOST_VALUES]
