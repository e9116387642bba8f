"""Walk the sign-in flow of mode `jwt` as a client would, and say which side is wrong: this server's or the issuer's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from contit_mcp.cli.findings import Finding, bad, explain_connection, failed
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.auth import JwtTokens, WrongKindError, issuer_client
from contit_mcp.http.jwks import FAILURES, IssuerKeys, KeysUnavailableError, read_json

_LARGEST_TOKEN = 65_536

_REACH_HINT = (
    "Check CONTIT_MCP_JWT_ISSUER, letter by letter as the issuer writes itself, and whether it is reached from here:"
    " HTTPS_PROXY names a proxy, CONTIT_CA_FILE a certificate authority of your own."
)


async def check_sign_in(settings: Settings, token_file: Path | None = None) -> list[Finding]:
    """Check this server's metadata, the issuer's metadata and keys, and a token if there is one."""
    for name, value in (("JWT_ISSUER", settings.jwt_issuer), ("PUBLIC_URL", settings.public_url)):
        if value is None:
            verdict = f"CONTIT_MCP_AUTH is jwt, and CONTIT_MCP_{name} is not set"
            return [bad("Sign-in", verdict, "Set it: clients find the issuer through both.")]
    assert settings.jwt_issuer is not None  # noqa: S101 - checked above
    assert settings.public_url is not None  # noqa: S101
    try:
        async with issuer_client(settings) as http:
            tokens = JwtTokens(settings, http)
            if settings.jwt_header.lower() == "authorization":
                findings = [
                    await _own_metadata(http, settings.public_url, settings.jwt_issuer),
                    await _issuer_metadata(tokens.keys, settings.jwt_issuer),
                ]
            else:
                findings = [Finding("Sign-in", f"left to the proxy that sends {settings.jwt_header}")]
            findings.append(await _issuer_keys(tokens.keys, settings.jwt_issuer))
            if token_file is not None:
                findings.append(await _token(tokens, settings, token_file))
            return findings
    except ConfigurationError as error:
        return [failed("Sign-in", error)]


async def _own_metadata(http: httpx.AsyncClient, public_url: str, issuer: str) -> Finding:
    """Read what this server tells clients, at the address that clients know."""
    parts = urlsplit(public_url)
    url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    subject = f"This server's metadata at {url}"
    hint = "The proxy before this server must pass /.well-known/oauth-protected-resource on to it."
    try:
        metadata = await read_json(http, url)
    except (httpx.TransportError, TimeoutError):
        return Finding(subject, "not checked, since nothing answers there from here; start the server and check again")
    except FAILURES as error:
        return bad(subject, f"this server's side is wrong: {_why(error)}", hint)
    if metadata.get("resource") != public_url or metadata.get("authorization_servers") != [issuer]:
        hint = "Give this command the settings of the server, and restart the server after a change."
        verdict = "this server's side is wrong: another resource or issuer is named there than in these settings"
        return bad(subject, verdict, hint)
    return Finding(subject, f"names the issuer and the scopes {_quoted(metadata.get('scopes_supported'))}", good=True)


async def _issuer_keys(keys: IssuerKeys, issuer: str) -> Finding:
    subject = f"Keys of the issuer {issuer}"
    try:
        return Finding(subject, f"{await keys.fetch()} can be used", good=True)
    except KeysUnavailableError as error:
        return bad(subject, _why(error.__cause__), _REACH_HINT)


async def _issuer_metadata(keys: IssuerKeys, issuer: str) -> Finding:
    subject = f"Metadata of the issuer {issuer}"
    try:
        return _judge(subject, await keys.discover(), issuer)
    except FAILURES as error:
        return bad(subject, _why(error), _REACH_HINT)


def _judge(subject: str, metadata: Mapping[str, Any], issuer: str) -> Finding:
    if metadata.get("issuer") != issuer:
        return Finding(
            subject,
            "this server's side is wrong: the issuer writes itself differently, and clients compare letter by letter",
            good=False,
            hint=f"Set CONTIT_MCP_JWT_ISSUER={metadata.get('issuer')}",
        )
    needed = ("authorization_endpoint", "token_endpoint")
    if missing := [name for name in needed if not isinstance(metadata.get(name), str)]:
        verdict = f"the issuer's side is wrong: its metadata has no {' and no '.join(missing)}, so nobody can sign in"
        return bad(subject, verdict, "Name the issuer that people sign in at, or ask its operator.")
    offered = metadata.get("code_challenge_methods_supported")
    if offered is not None and "S256" not in _list(offered):
        verdict = "the issuer's side is wrong: it does not offer PKCE with S256, and MCP clients use nothing else"
        return bad(subject, verdict, "Ask its operator to offer S256.")
    if offered is None:
        verdict = "it does not say that it offers PKCE (code_challenge_methods_supported), and some clients stop there"
        return Finding(subject, verdict)
    ways = []
    if metadata.get("client_id_metadata_document_supported") is True:
        ways.append("a client metadata document")
    if isinstance(metadata.get("registration_endpoint"), str):
        ways.append("dynamic registration")
    return Finding(subject, f"clients get an id by {' or '.join(ways) or 'registration by hand only'}", good=True)


async def _token(tokens: JwtTokens, settings: Settings, file: Path) -> Finding:
    """Let the server's own code judge a token, and add what its header and claims say."""
    subject = f"Token in {file}"
    try:
        with file.open(encoding="utf-8-sig") as opened:
            token = opened.read(_LARGEST_TOKEN).strip()
    except (OSError, ValueError):
        return bad(subject, "cannot be read", "Check that it is a text file that you may read.")
    try:
        header = jwt.get_unverified_header(token)
        unverified = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        hint = (
            "An opaque or encrypted token is for the issuer itself. Request one for this server's audience; see the"
            " recipe of your issuer in docs/deployment.md."
        )
        return bad(subject, "the client's side is wrong: this is not a signed JWT", hint)
    try:
        claims = await tokens.claims(token)
    except KeysUnavailableError:
        return bad(subject, "cannot be judged without the issuer's keys", _REACH_HINT)
    except jwt.PyJWTError as error:
        return bad(subject, f"refused. {tokens.problem(error)}", _advice(error, settings, header, unverified))
    if missing := tokens.missing_scopes(claims):
        granted = _quoted(claims.get("scope", claims.get("scp")))
        hint = (
            "If these are the right ones, this server's side is wrong: set CONTIT_MCP_JWT_SCOPES to them. If not, the"
            f" issuer must grant what clients are told to request: {_quoted(settings.scopes_to_request())}."
        )
        said = f"refused. It lacks the scope {', '.join(missing)}; it has {granted}"
        return bad(subject, said, hint)
    return Finding(subject, f"accepted; its caller is {_quoted(claims['sub'])}", good=True)


def _advice(error: jwt.PyJWTError, settings: Settings, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return what to change, and on which side."""
    match error:
        case jwt.InvalidAudienceError():
            wanted = settings.jwt_audience or settings.public_url
            advice = (
                f"The token is for {_quoted(claims.get('aud'))} and this server wants {_quoted(wanted)}. If the client"
                " requested it for this server and the issuer writes no other audience, set CONTIT_MCP_JWT_AUDIENCE."
            )
        case jwt.InvalidIssuerError():
            advice = (
                f"The token is from {_quoted(claims.get('iss'))}. If that is the right issuer, this server's side is"
                " wrong: set CONTIT_MCP_JWT_ISSUER to it."
            )
        case jwt.ExpiredSignatureError() | jwt.ImmatureSignatureError():
            advice = "If the token is old, get a new one. If it is new, the clocks of the two sides differ."
        case WrongKindError():
            advice = (
                f"Its header has typ {_quoted(header.get('typ'))}. The client's side: it must send the access token."
                " With cnf in its claims, switch DPoP or certificate binding off for this client at the issuer."
            )
        case jwt.MissingRequiredClaimError():
            advice = "The issuer's side: a token needs exp, iss, aud and sub."
        case _:
            advice = (
                f"Its header has kid {_quoted(header.get('kid'))} and alg {_quoted(header.get('alg'))}. The issuer's"
                " side: it must sign with a key pair and publish the key. If the keys are elsewhere, set"
                " CONTIT_MCP_JWT_JWKS_URL."
            )
    return advice


def _why(cause: BaseException | None) -> str:
    """Return the reason of a failure without a word of what was answered, which comes from outside."""
    match cause:
        case httpx.HTTPStatusError():
            return f"{cause.request.url.host} answers {cause.response.status_code} where its metadata or keys should be"
        case httpx.TransportError():
            return explain_connection(cause, str(cause.request.url))[0]
        case TimeoutError():
            return "it does not answer in time"
        case _:
            return "what answers is not the metadata and keys of this issuer"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _quoted(value: object) -> str:
    """Return a claim in printable ASCII, cut to a length that fits a line."""
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
