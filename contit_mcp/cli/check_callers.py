"""Whether the HTTP server can tell its callers apart: its tokens can be read, its issuer's keys can be had."""

from pathlib import Path

from contit_mcp.cli.findings import Finding, failed
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError


async def check_callers(settings: Settings, token_file: Path | None = None) -> list[Finding]:
    """Look at what the mode needs; `none` and `caller` need nothing."""
    if token_file is not None and settings.auth != "jwt":
        hint = "Set CONTIT_MCP_AUTH=jwt and the settings of the server that is to accept it."
        return [Finding("Token", f"not checked, since CONTIT_MCP_AUTH is {settings.auth}", good=False, hint=hint)]
    match settings.auth:
        case "token":
            return [_tokens(settings)]
        case "jwt":
            from contit_mcp.cli.check_sign_in import check_sign_in  # noqa: PLC0415 - start-up time

            return await check_sign_in(settings, token_file)
        case _:
            return []


def _tokens(settings: Settings) -> Finding:
    try:
        number = len(settings.caller_tokens())
    except ConfigurationError as error:
        return failed("Callers", error)
    if not number:
        hint = "Set CONTIT_MCP_TOKENS=name:token, or CONTIT_MCP_TOKENS_FILE."
        return Finding("Callers", "CONTIT_MCP_AUTH is token, and there are no tokens", good=False, hint=hint)
    place = f"in the file {settings.tokens_file}" if settings.tokens_file else "set (hidden)"
    return Finding("Callers", f"{number} by name, their tokens {place}", good=True)
