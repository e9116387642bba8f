"""The jobs of editors in jobs.toml: as prompts, in English and Italian, and as skills (SEP-2640).

A skill is a SKILL.md, in English, for hosts that load skills from servers; it says what to ask the user for.
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

SKILLS, SKILL_SCHEME = "io.modelcontextprotocol/skills", "skill://"

_LANGUAGE = {"description": {"en": "The language of this prompt: en (the default) or it."}}
_LONGEST_ARGUMENT = 2_000
_ARGUMENT = re.compile(r"\{(\w+)\}")

_VALUES = {  # suggestions for arguments; Contit is not asked for them
    "language": ("en", "it"),
    "locale": ("en", "it", "de"),
    "content_type": ("articles", "products", "pages", "articoli", "prodotti", "pagine"),
    "period": (
        "last 7 days", "last 30 days", "last month", "this month", "this year",
        "ultimi 7 giorni", "ultimi 30 giorni", "mese scorso", "questo mese", "quest'anno",
    ),
}  # fmt: skip


@cache
def jobs() -> dict[str, Any]:
    """Return the jobs by name, as jobs.toml defines them."""
    return tomllib.loads(files("contit_mcp.server").joinpath("jobs.toml").read_text(encoding="utf-8"))


async def list_prompts(_ctx: object, _params: object) -> types.ListPromptsResult:
    """Return all prompts, described in English."""
    listed = types.ListPromptsResult(prompts=[])
    for name, job in jobs().items():
        arguments = [
            types.PromptArgument(name=key, description=each["description"]["en"], required=each.get("required", False))
            for key, each in {**job.get("arguments", {}), "language": _LANGUAGE}.items()
        ]
        title, description = job["title"]["en"], job["description"]["en"]
        listed.prompts.append(types.Prompt(name=name, title=title, description=description, arguments=arguments))
    return listed


async def get_prompt(_ctx: object, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """Return one prompt with its arguments filled in; a line with an argument that is absent is left out."""
    job = jobs().get(params.name)
    if job is None:
        raise MCPError(types.INVALID_PARAMS, f"There is no such prompt. The prompts are: {', '.join(jobs())}.")
    given = {key: value.strip() for key, value in (params.arguments or {}).items() if value.strip()}
    language = "it" if given.get("language", "").casefold().startswith("it") else "en"
    for argument, known in job.get("arguments", {}).items():
        if known.get("required") and argument not in given:
            raise MCPError(types.INVALID_PARAMS, f"{argument} is required. {known['description'][language]}")
        if len(given.get(argument, "")) > _LONGEST_ARGUMENT:
            raise MCPError(types.INVALID_PARAMS, f"{argument} has more than {_LONGEST_ARGUMENT} characters.")
    lines = job["text"][language].strip().splitlines()
    kept = [line for line in lines if given.keys() >= set(_ARGUMENT.findall(line))]
    text = _ARGUMENT.sub(lambda found: given[found[1]], "\n".join(kept))
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.GetPromptResult(description=job["description"][language], messages=[message])


def complete_prompt(argument: str, value: str) -> list[str]:
    """Return the known values of a prompt's argument that contain what was typed; first those that start with it."""
    typed = value.strip().casefold()
    found = [each for each in _VALUES.get(argument, ()) if typed in each.casefold()]
    return sorted(found, key=lambda each: not each.casefold().startswith(typed))


def add_skills(server: Server[Any]) -> None:
    """Register the extension for skills with a server."""
    server.extensions[SKILLS] = {}
    server.add_request_handler("skills/list", types.PaginatedRequestParams, _handle_skills)
    server.add_request_handler("skills/get", types.ReadResourceRequestParams, _handle_skills)


def skill(uri: str) -> tuple[str, dict[str, Any]]:
    """Return the SKILL.md at this address, and the skill's entry in `skills/list`; raise MCPError if there is none."""
    found = _skills().get(uri)
    if found is None:
        raise MCPError(types.INVALID_PARAMS, "There is no such skill.", {"uri": uri})
    return found


@cache
def _skills() -> dict[str, tuple[str, dict[str, Any]]]:
    found = {}
    for key, job in jobs().items():
        name = key.replace("_", "-")
        uri, text = f"{SKILL_SCHEME}{name}/SKILL.md", _markdown(name, job)
        content = text.encode()
        file = {"uri": uri, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
        frontmatter = {"name": name, "description": job["description"]["en"]}
        found[uri] = text, {"uri": uri, "frontmatter": frontmatter, "resources": [file]}
    return found


def _markdown(name: str, job: Mapping[str, Any]) -> str:
    lines = ["---", f"name: {name}", f"description: {json.dumps(job['description']['en'])}", "---", ""]
    lines += [f"# {job['title']['en']}", ""]
    if arguments := job.get("arguments", {}):
        lines += ["Get these values from the user. Leave out each line below whose value is missing.", ""]
        for argument, known in arguments.items():
            needed = " (required)" if known.get("required") else ""
            lines.append(f"- <{argument}>{needed}: {known['description']['en']}")
        lines.append("")
    return "\n".join(lines) + _ARGUMENT.sub(r"<\1>", job["text"]["en"].strip()) + "\n"


async def _handle_skills(ctx: ServerRequestContext[Any, Any], params: Any) -> HandlerResult:
    """Answer `skills/list` and `skills/get`. The extension is defined from 2026-07-28 on."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    result: dict[str, Any] = {"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "public"}
    if ctx.method == "skills/list":
        return {"skills": [entry for _, entry in _skills().values()], **result}
    return {"skill": skill(str(params.uri))[1], **result}
