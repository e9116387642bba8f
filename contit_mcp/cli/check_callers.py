"""Whether the HTTP server can tell its callers apart: its tokens can be read, its issuer's keys can be had."""

import httpx

from contit_mcp.cli.connection_trouble import explain_connection
from contit_mcp.cli.findings import Finding, failed
from contit_mcp.config.settings import Settings
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import ConfigurationError

_ISSUER_HINT = (
    "Check CONTIT_MCP_JWT_ISSUER, letter by letter as the issuer writes itself, and whether it is reached from here:"
    " HTTPS_PROXY names a proxy, CONTIT_CA_FILE a certificate authority of your own."
)


async def check_callers(settings: Settings) -> list[Finding]:
    """Look at what the mode needs; `none` and `caller` need nothing."""
    match settings.auth:
        case "token":
            return [_tokens(settings)]
        case "jwt":
            return [await _issuer(settings)]
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


async def _issuer(settings: Settings) -> Finding:
    from contit_mcp.http.jwks import DOCUMENT_BYTES, IssuerKeys, KeysUnavailableError  # noqa: PLC0415 - start-up time

    issuer = settings.jwt_issuer
    if issuer is None:
        hint = "Set it to the issuer whose tokens are taken."
        return Finding("Callers", "CONTIT_MCP_AUTH is jwt without CONTIT_MCP_JWT_ISSUER", good=False, hint=hint)
    subject = f"Callers with tokens of {issuer}"
    try:
        policy = TransportPolicy(body_bytes=DOCUMENT_BYTES)
        async with build_http_client("", policy=policy, ca_file=settings.ca_file) as http:
            number = await IssuerKeys(issuer, http, jwks_url=settings.jwt_jwks_url).fetch()
    except ConfigurationError as error:
        return failed(subject, error)
    except KeysUnavailableError as error:
        return Finding(subject, _why(error.__cause__), good=False, hint=_ISSUER_HINT)
    return Finding(subject, f"its keys can be had ({number} of use)", good=True)


def _why(cause: BaseException | None) -> str:
    """Nothing of what it answered: that is from outside."""
    match cause:
        case httpx.HTTPStatusError():
            return f"{cause.request.url.host} answers {cause.response.status_code} where its metadata or keys should be"
        case httpx.TransportError():
            return explain_connection(cause, str(cause.request.url))[0]
        case TimeoutError():
            return "it does not answer in time"
        case _:
            return "what answers is not the metadata and keys of this issuer"
