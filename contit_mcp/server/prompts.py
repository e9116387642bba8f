"""The jobs of editors in jobs.toml: as prompts, in English and Italian, and as skills (SEP-2640).

A skill is a SKILL.md for hosts that load skills from servers. It is in English, with the arguments as what the user is
to be asked for.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import mcp_types as types
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

LANGUAGES = ("en", "it")
_LANGUAGE = {"description": {"en": "en or it; en by default."}}
_LONGEST_ARGUMENT = 2_000

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


async def list_prompts(_ctx: object, _params: object) -> types.ListPromptsResult:
    """Return all prompts, described in English."""
    return types.ListPromptsResult(prompts=[_listed(name, job) for name, job in jobs().items()])


def _listed(name: str, job: Mapping[str, Any]) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=key, description=known["description"]["en"], required=known.get("required", False))
        for key, known in {**job.get("arguments", {}), "language": _LANGUAGE}.items()
    ]
    return types.Prompt(name=name, title=job["title"]["en"], description=job["description"]["en"], arguments=arguments)


async def get_prompt(_ctx: object, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """Return one prompt with its arguments filled in.

    Raises:
        MCPError: The prompt is unknown, or an argument is missing or too long.
    """
    job = jobs().get(params.name)
    if job is None:
        raise MCPError(types.INVALID_PARAMS, f"There is no such prompt. The prompts are: {', '.join(jobs())}.")
    given = {key: value.strip() for key, value in (params.arguments or {}).items() if value.strip()}
    language = given.get("language", "en").casefold()[:2]
    language = language if language in LANGUAGES else "en"
    for argument, known in job.get("arguments", {}).items():
        if known.get("required") and argument not in given:
            raise MCPError(types.INVALID_PARAMS, f"{argument} is required. {known['description'][language]}")
        if len(given.get(argument, "")) > _LONGEST_ARGUMENT:
            raise MCPError(types.INVALID_PARAMS, f"{argument} has more than {_LONGEST_ARGUMENT} characters.")
    text = types.TextContent(type="text", text=_filled_in(job["text"][language], given))
    return types.GetPromptResult(
        description=job["description"][language], messages=[types.PromptMessage(role="user", content=text)]
    )


def _filled_in(text: str, arguments: Mapping[str, str]) -> str:
    """Return the text with its arguments; a line with an argument that is absent is left out."""
    lines = text.strip().splitlines()
    kept = [line for line in lines if all(name in arguments for name in re.findall(r"\{(\w+)\}", line))]
    return re.sub(r"\{(\w+)\}", lambda found: arguments[found[1]], "\n".join(kept))


def complete_prompt(argument: str, value: str) -> list[str]:
    """Return the known values of a prompt's argument that contain what was typed; first those that start with it."""
    typed = value.strip().casefold()
    found = [each for each in _VALUES.get(argument, ()) if typed in each.casefold()]
    return sorted(found, key=lambda each: not each.casefold().startswith(typed))


# --- Skills -----------------------------------------------------------------------------------------------------------

SKILLS = "io.modelcontextprotocol/skills"
SKILL_SCHEME = "skill://"
_HOUR_MS = 3_600_000


def add_skills(server: Server[Any]) -> None:
    """Register the extension with a server: its capability, `skills/list` and `skills/get`."""
    server.extensions[SKILLS] = {}
    server.add_request_handler("skills/list", types.PaginatedRequestParams, _list)
    server.add_request_handler("skills/get", types.ReadResourceRequestParams, _get)


def skill_text(uri: str) -> str:
    """Return the file of a skill.

    Raises:
        MCPError: There is no such file.
    """
    return _skill(uri)[0]


def _skill(uri: str) -> tuple[str, dict[str, Any]]:
    found = _skills().get(uri)
    if found is None:
        raise MCPError(types.INVALID_PARAMS, "There is no such skill.", {"uri": uri})
    return found


@cache
def _skills() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the text and the entry of each skill, by the address of its SKILL.md."""
    found = {}
    for key, job in jobs().items():
        name, description = key.replace("_", "-"), job["description"]["en"]
        uri, text = f"{SKILL_SCHEME}{name}/SKILL.md", _markdown(name, job)
        content = text.encode()
        file = {"uri": uri, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
        frontmatter = {"name": name, "description": description}
        found[uri] = (text, {"uri": uri, "frontmatter": frontmatter, "resources": [file]})
    return found


def _markdown(name: str, job: Mapping[str, Any]) -> str:
    """Return the file: its frontmatter, what to ask the user for, and what to do."""
    lines = ["---", f"name: {name}", f"description: {json.dumps(job['description']['en'])}", "---", ""]
    lines += [f"# {job['title']['en']}", ""]
    if arguments := job.get("arguments", {}):
        lines += ["Take these from the user; ask for what is required. Leave out a line below without its value.", ""]
        for argument, known in arguments.items():
            needed = " (required)" if known.get("required") else ""
            lines.append(f"- <{argument}>{needed}: {known['description']['en']}")
        lines.append("")
    return "\n".join(lines) + re.sub(r"\{(\w+)\}", r"<\1>", job["text"]["en"].strip()) + "\n"


async def _list(ctx: ServerRequestContext[Any, Any], _params: object) -> HandlerResult:
    return _cached(ctx, {"skills": [entry for _, entry in _skills().values()]})


async def _get(ctx: ServerRequestContext[Any, Any], params: types.ReadResourceRequestParams) -> HandlerResult:
    return _cached(ctx, {"skill": _skill(str(params.uri))[1]})


def _cached(ctx: ServerRequestContext[Any, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with its cache hints. The extension is defined from 2026-07-28 on."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    return {**result, "resultType": "complete", "ttlMs": _HOUR_MS, "cacheScope": "public"}
