"""Walk the sign-in flow of mode `jwt` as a client would, and say which side is wrong: this server's or the issuer's."""

import json
from pathlib import Path
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
    "Check CONTIT_MCP_JWT_ISSUER, letter by letter as the issuer names itself; and HTTPS_PROXY and CONTIT_CA_FILE."
)
_OURS, _THEIRS = "this server's side is wrong", "the issuer's side is wrong"


async def check_sign_in(settings: Settings, token_file: Path | None = None) -> list[Finding]:
    """Check this server's metadata, the issuer's metadata and keys, and a token if there is one."""
    issuer, public_url = settings.jwt_issuer, settings.public_url
    if issuer is None or public_url is None:
        name = "CONTIT_MCP_JWT_ISSUER" if issuer is None else "CONTIT_MCP_PUBLIC_URL"
        hint = "Set it: without CONTIT_MCP_JWT_ISSUER and CONTIT_MCP_PUBLIC_URL no client finds the issuer."
        return [bad("Sign-in", f"CONTIT_MCP_AUTH is jwt, and {name} is not set", hint)]
    try:
        async with issuer_client(settings) as http:
            tokens = JwtTokens(settings, http)
            findings = [Finding("Sign-in", f"left to the proxy that sends {settings.jwt_header}")]
            if settings.jwt_header.lower() == "authorization":
                findings = [await _own_metadata(http, public_url, issuer), await _issuer_metadata(tokens.keys, issuer)]
            findings.append(await _issuer_keys(tokens.keys, issuer))
            if token_file is not None:
                findings.append(await _token(settings, tokens, token_file))
            return findings
    except ConfigurationError as error:
        return [failed("Sign-in", error)]


async def _own_metadata(http: httpx.AsyncClient, public_url: str, issuer: str) -> Finding:
    parts = urlsplit(public_url)
    url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    subject = f"This server's metadata at {url}"
    try:
        metadata = await read_json(http, url)
    except (httpx.TransportError, TimeoutError):
        return Finding(subject, "not checked, since nothing answers there from here; start the server and check again")
    except FAILURES as error:
        hint = "The proxy before this server must pass /.well-known/oauth-protected-resource on to it."
        return bad(subject, f"{_OURS}: {_why(error)}", hint)
    if metadata.get("resource") != public_url or metadata.get("authorization_servers") != [issuer]:
        hint = "Give this command the settings of the server, and restart the server after a change."
        return bad(subject, f"{_OURS}: another resource or issuer is named there than in these settings", hint)
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
        metadata = await keys.discover()
    except FAILURES as error:
        return bad(subject, _why(error), _REACH_HINT)
    if metadata.get("issuer") != issuer:
        verdict = f"{_OURS}: the issuer names itself differently, and clients compare letter by letter"
        return bad(subject, verdict, f"Set CONTIT_MCP_JWT_ISSUER={metadata.get('issuer')}")
    needed = ("authorization_endpoint", "token_endpoint")
    if missing := [name for name in needed if not isinstance(metadata.get(name), str)]:
        verdict = f"{_THEIRS}: its metadata has no {' and no '.join(missing)}, so nobody can sign in"
        return bad(subject, verdict, "Name the issuer that people sign in at, or ask its operator.")
    offered = metadata.get("code_challenge_methods_supported")
    if offered is None:
        verdict = "it does not say that it offers PKCE (code_challenge_methods_supported), and some clients stop there"
        return Finding(subject, verdict)
    if not isinstance(offered, list) or "S256" not in offered:
        verdict = f"{_THEIRS}: it does not offer PKCE with S256, and MCP clients use nothing else"
        return bad(subject, verdict, "Ask its operator to offer S256.")
    ways = []
    if metadata.get("client_id_metadata_document_supported") is True:
        ways.append("a client metadata document")
    if isinstance(metadata.get("registration_endpoint"), str):
        ways.append("dynamic registration")
    return Finding(subject, f"clients get an id by {' or '.join(ways) or 'registration by hand only'}", good=True)


async def _token(settings: Settings, tokens: JwtTokens, file: Path) -> Finding:
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
        hint = f"An opaque or encrypted token is for the issuer itself. Request one for the audience {tokens.audience}."
        return bad(subject, "the client's side is wrong: this is not a signed JWT", hint)
    try:
        claims = await tokens.claims(token)
    except KeysUnavailableError:
        return bad(subject, "cannot be judged without the issuer's keys", _REACH_HINT)
    except jwt.PyJWTError as error:
        says = {name: header.get(name, unverified.get(name)) for name in ("typ", "kid", "alg", "iss", "aud")}
        advice = next(text for kind, text in _ADVICE if isinstance(error, kind))
        return bad(subject, f"refused. {tokens.problem(error)}", f"It has {_quoted(says)}. {advice}")
    if missing := tokens.missing_scopes(claims):
        granted = _quoted(claims.get("scope", claims.get("scp")))
        hint = (
            "If these are the right ones, this server's side is wrong: set CONTIT_MCP_JWT_SCOPES to them. If not, the"
            f" issuer must grant what clients are told to request: {_quoted(settings.scopes_to_request())}."
        )
        return bad(subject, f"refused. It lacks the scope {', '.join(missing)}; it has {granted}", hint)
    return Finding(subject, f"accepted; its caller is {_quoted(claims['sub'])}", good=True)


_ADVICE: tuple[tuple[type[jwt.PyJWTError], str], ...] = (  # from the most particular error to the most general
    (jwt.InvalidAudienceError, "If the issuer writes no other audience for this server, set CONTIT_MCP_JWT_AUDIENCE."),
    (jwt.InvalidIssuerError, f"If that is the right issuer, {_OURS}: set CONTIT_MCP_JWT_ISSUER to it."),
    (jwt.ExpiredSignatureError, "Get a new one. If it is new, the clocks of the two sides differ."),
    (jwt.ImmatureSignatureError, "The clocks of the two sides differ."),
    (WrongKindError, "The client's side: send the access token. With cnf in it, switch DPoP or mTLS binding off."),
    (jwt.MissingRequiredClaimError, "The issuer's side: a token needs exp, iss, aud and sub."),
    (jwt.PyJWTError, "The issuer's side: sign with a published key. If it is elsewhere, set CONTIT_MCP_JWT_JWKS_URL."),
)


def _why(cause: BaseException | None) -> str:
    """Return the reason of a failure without any text of the response, which comes from outside."""
    if isinstance(cause, httpx.HTTPStatusError):
        return f"{cause.request.url.host} answers {cause.response.status_code} where its metadata or keys should be"
    if isinstance(cause, httpx.TransportError):
        return explain_connection(cause, str(cause.request.url))[0]
    if isinstance(cause, TimeoutError):
        return "it does not answer in time"
    return "what answers is not the metadata and keys of this issuer"


def _quoted(value: object) -> str:
    """Return claims in printable ASCII, cut to a length that fits a line or two."""
    text = json.dumps(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
