"""The bundle's manifest, from the server, its settings and the project: nothing in it is written twice."""

from typing import Any

from mcp_types import Tool

from contit_mcp.config.settings import Settings
from contit_mcp.server.server import WEBSITE
from release.project import PROJECT, VERSION, claimed_pythons, pinned_requirements

ICON = "icon.png"
ICON_WIDTH = 512
"""Pixels; what Claude Desktop recommends."""

FILLED_IN = {
    "api_key": "CONTIT_API_KEY",
    "access_token": "CONTIT_ACCESS_TOKEN",
    "base_url": "CONTIT_BASE_URL",
    "wait_seconds": "CONTIT_MCP_WAIT_SECONDS",
}
"""The fields that are settings. A field left blank arrives as "", or as the placeholder itself: both mean "not set"."""


def user_config() -> dict[str, dict[str, Any]]:
    """The fields that a host shows its user."""
    fields = Settings.model_fields
    return {
        "sandbox": {
            "type": "boolean",
            "title": "Try it without an account",
            "description": "Answers come from a sample workspace on this computer; nothing is sent anywhere.",
            "required": False,
            "default": False,
        },
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "Of a Contit client with the ReadAccess policy. Not needed to try it without an account.",
            "required": False,
            "sensitive": True,
            "default": "",
        },
        "access_token": {
            "type": "string",
            "title": "Personal access token, instead of an API key",
            "description": "It begins with ctpat_. Leave it blank where there is an API key.",
            "required": False,
            "sensitive": True,
            "default": "",
        },
        "base_url": {
            "type": "string",
            "title": "Address of Contit",
            "description": f"Leave it blank for {fields['base_url'].default}.",
            "required": False,
            "default": "",
        },
        # Without a default: there is no number that means "what fits the host".
        "wait_seconds": {
            "type": "number",
            "title": "Seconds to wait for an answer",
            "description": "Leave it blank for what fits the host. After it, the answer can still be asked for.",
            "required": False,
            "min": 1,
            "max": fields["max_wait_seconds"].default,
        },
    }


def manifest(tools: list[Tool]) -> dict[str, Any]:
    """The manifest of a bundle that uv runs.

    There is no `compatibility.runtimes`: uv brings the Python, and a host must not look for one.
    """
    return {
        "manifest_version": "0.4",
        "name": "contit-assistant",
        "display_name": "Contit Assistant",
        "version": VERSION,
        "description": PROJECT["description"],
        "long_description": (
            "Asks the AI assistant of Contit, a headless CMS, about your content in plain words: which articles,"
            " products and pages there are, drafts or published, by date, author, tag and language. It reads; it"
            " changes nothing.\n\nThe first start downloads what it needs, with the uv of the host."
        ),
        "author": {"name": PROJECT["authors"][0]["name"]},
        "homepage": WEBSITE,
        "icon": ICON,
        "icons": [{"src": ICON, "size": f"{ICON_WIDTH}x{ICON_WIDTH}"}],
        "server": {
            "type": "uv",
            "entry_point": "main.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "main.py", "--sandbox=${user_config.sandbox}"],
                "env": {variable: f"${{user_config.{field}}}" for field, variable in FILLED_IN.items()},
            },
        },
        "tools": [{"name": tool.name, "description": str(tool.description)} for tool in tools],
        "keywords": PROJECT["keywords"],
        "license": PROJECT["license"],
        "compatibility": {"platforms": ["darwin", "linux", "win32"]},
        "user_config": user_config(),
    }


def bundle_pyproject() -> str:
    """The project that uv sets up for main.py: the dependencies, at the versions that the tests ran with."""
    newest = int(claimed_pythons()[-1].split(".")[1])
    lines = [
        "# What uv installs for main.py. The package itself lies beside it, and is not installed.",
        "[project]",
        f'name = "{PROJECT["name"]}"',
        f'version = "{VERSION}"',
        f'requires-python = "{PROJECT["requires-python"]},<3.{newest + 1}"',
        "dependencies = [",
        *(f"  {_quoted(str(requirement))}," for requirement in pinned_requirements()),
        "]",
        "",
        "[tool.uv]",
        "package = false",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string; markers hold double quotes."""
    return "'" + text.replace("'", '"') + "'"
