"""Authentication over HTTP: each of the four modes turns headers into a caller or a refusal.

A new mode: `auth` in config/settings.py, server/context.py and api.py, a function here, a case in `_identification`
(app.py). `Services.tenant` chooses the credential for Contit and the owner; `refuse_unsafe` (serve.py) checks settings.
"""

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx
import jwt
from jwt.exceptions import InvalidSubjectError
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.datastructures import Headers
from starlette.routing import Route

from contit_mcp.config.settings import LONGEST_TOKEN, Settings, split_list
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.guard import Identify, Refusal
from contit_mcp.http.jwks import ALGORITHMS, LARGEST_DOCUMENT, RETRY_SECONDS, IssuerKeys, KeysUnavailableError
from contit_mcp.server.context import Caller
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

LEEWAY_SECONDS = 10  # how far the clock of the issuer may differ from ours

# The header's `typ` of an access token, without the prefix `application/`; any other value declares another kind, such
# as `logout+jwt` or `dpop+jwt` (RFC 9068, 2.1; RFC 7519, 5.1; RFC 8725, 3.11).
_TOKEN_TYPES = frozenset({"at+jwt", "jwt"})

# Only id tokens have these (OpenID Connect Core 1.0, 2 and 3.3.2.11; Financial-grade API, 5.1).
_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")

_FORMS = "X-Api-Key: …, or Authorization: Bearer ctpat_…"
_METADATA = "/.well-known/oauth-protected-resource"

# Clients compare URLs letter by letter (RFC 9728, 3.3; RFC 8414, 3.3), so no slash is put at their ends.
_as_written = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True)).validate_python


async def anyone(_: Headers) -> Caller | Refusal:
    """Mode `none`: every request that reaches this machine's loopback address is the same caller."""
    return Caller()


def token_of(current: Callable[[], Mapping[str, str]]) -> Identify:
    """Mode `token`: bearer tokens, each with the name of its caller. `current` returns them by name."""

    async def identify(headers: Headers) -> Caller | Refusal:
        given = bearer(headers)
        if given is None:
            return challenge("Send one of this server's tokens: Authorization: Bearer …")
        try:
            tokens = current()
        except ConfigurationError as error:
            # The file is being edited or is broken. The earlier tokens are not used: they may have been withdrawn.
            log.error("tokens.unusable", problem=error.message, hint=error.hint)  # noqa: TRY400 - a traceback adds nothing
            message = "This server's tokens cannot be read at the moment."
            return Refusal(503, "tokens_unusable", message, {"Retry-After": "10"})
        # Every token is compared, in constant time each, so that the time tells nothing.
        found = [name for name, token in tokens.items() if hmac.compare_digest(given.encode(), token.encode())]
        if not found:
            return challenge("This server does not know the token.", "invalid_token")
        return Caller(principal=found[0])

    return identify


async def own_credential(headers: Headers) -> Caller | Refusal:
    """Mode `caller`: the caller's own Contit credential, which Contit judges. There is no fallback to the server's."""
    key, token = headers.getlist("x-api-key"), bearer(headers)
    if len(key) + len(headers.getlist("authorization")) > 1:
        return Refusal(400, "two_credentials", f"Send one Contit credential: {_FORMS}")
    if key and _is_plain(key[0]):
        return Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=key[0])))
    if token is not None and token.startswith("ctpat_"):
        return Caller(credential=AccessTokenAuth(SecretValue("Authorization", value=token)))
    return challenge(f"Send your Contit credential: {_FORMS}", "invalid_token" if token else "")


def issuer_client(settings: Settings) -> httpx.AsyncClient:
    """Return a client for the documents of an issuer; raise a ConfigurationError if the CA file cannot be used."""
    return build_http_client("", policy=TransportPolicy(body_bytes=LARGEST_DOCUMENT), ca_file=settings.ca_file)


def metadata_routes(settings: Settings) -> list[Route]:
    """Return the routes where clients learn how to get a token (RFC 9728), for mode `jwt`."""
    resource, issuer = _as_written(settings.public_url), _as_written(settings.jwt_issuer)
    scopes = settings.scopes_to_request()
    [route] = create_protected_resource_routes(resource, [issuer], scopes, resource_name="Contit Assistant")
    # Clients look below the path first and then at the root (MCP authorization). A proxy may have changed the path.
    paths = dict.fromkeys((route.path, f"{_METADATA}/mcp", _METADATA))
    return [Route(path, route.endpoint, methods=["GET", "OPTIONS"]) for path in paths]


class JwtTokens:
    """Mode `jwt`: access tokens of an OAuth 2.1 issuer. `http` is an `issuer_client`."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._issuer = str(settings.jwt_issuer).removesuffix("/")
        self.audience = str(settings.jwt_audience or settings.public_url)
        self.keys = IssuerKeys(self._issuer, http, jwks_url=settings.jwt_jwks_url)
        self._required = split_list(settings.jwt_scopes)
        metadata_url = str(build_resource_metadata_url(_as_written(settings.public_url)))
        self._challenge = partial(challenge, scopes=" ".join(settings.scopes_to_request()), metadata_url=metadata_url)
        self._header = settings.jwt_header

    async def __call__(self, headers: Headers) -> Caller | Refusal:
        """Return the caller of a token, or a refusal that tells the client what to do next."""
        token = self._token(headers)
        if token is None:
            return self._challenge(f"Send an access token of this server's issuer in the header {self._header}.")
        try:
            claims = await self.claims(token)
        except KeysUnavailableError:
            # The token may be good: 401 would make the client throw it away and sign in again.
            message = f"The keys of this server's issuer cannot be fetched. Try again in {RETRY_SECONDS} seconds."
            return Refusal(503, "issuer_unavailable", message, {"Retry-After": str(RETRY_SECONDS)})
        except jwt.PyJWTError as error:
            return self._challenge(self.problem(error), "invalid_token")
        if missing := self.missing_scopes(claims):
            message = f"The token lacks the scope {', '.join(missing)}. Sign in again and request it."
            return self._challenge(message, "insufficient_scope", status=403)
        return Caller(issuer=self._issuer, principal=claims["sub"])

    async def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a good access token; raise PyJWTError for others, or KeysUnavailableError."""
        header = jwt.get_unverified_header(token)
        key_id, algorithm = str(header.get("kid", "")), str(header.get("alg"))
        if not any(algorithm in known for known in ALGORITHMS.values()):
            raise jwt.InvalidAlgorithmError
        if str(header.get("typ", "jwt")).lower().removeprefix("application/") not in _TOKEN_TYPES:
            raise WrongKindError("The token is not an access token: its header declares another type.")
        key = await self.keys.key(key_id, algorithm)
        if key is None:
            raise jwt.InvalidKeyError
        audience = self.audience.removesuffix("/")
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=[audience, f"{audience}/"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
        if str(claims["iss"]).removesuffix("/") != self._issuer:
            raise jwt.InvalidIssuerError
        if not claims["sub"].strip() or not claims["sub"].isprintable():  # a lone surrogate is not printable
            raise InvalidSubjectError
        _require_access_token_claims(claims)
        return claims

    def _token(self, headers: Headers) -> str | None:
        if self._header.lower() == "authorization":
            return bearer(headers)
        given = headers.getlist(self._header)
        return given[0] if len(given) == 1 and _is_plain(given[0]) else None

    def missing_scopes(self, claims: Mapping[str, Any]) -> list[str]:
        """Return the required scopes that a token lacks."""
        granted: set[str] = set()
        for found in (claims.get("scope"), claims.get("scp")):  # RFC 9068, 2.2.3; Entra ID, Okta and others
            parts = found.split() if isinstance(found, str) else found if isinstance(found, list) else ()
            granted.update(map(str, parts))
        return [scope for scope in self._required if scope not in granted]

    def problem(self, error: jwt.PyJWTError) -> str:
        """Return what is wrong with a token, in words that tell nothing of its content."""
        known: dict[type[jwt.PyJWTError], str] = {
            jwt.ExpiredSignatureError: "The token has expired; get a new one.",
            jwt.ImmatureSignatureError: "The token is not valid yet; check the clocks.",
            jwt.InvalidAudienceError: f"The token is for another audience than {self.audience}.",
            jwt.InvalidIssuerError: "The token is from another issuer.",
            WrongKindError: str(error),
        }
        return known.get(type(error), "The token is not a valid one of this server's issuer.")


class WrongKindError(jwt.InvalidTokenError):
    """The token is not an access token that this server can accept. The text of the error is for the client."""


def _require_access_token_claims(claims: Mapping[str, Any]) -> None:
    if claims.get("cnf") is not None:
        raise WrongKindError(
            "The token is bound to a key of its client (cnf), which this server cannot check; get a bearer token."
        )
    kind = claims.get("typ")  # Keycloak names the kind in a claim: Bearer, ID, Refresh, Offline, Logout
    use = claims.get("token_use", "access")  # Amazon Cognito
    is_other = kind is not None and str(kind).lower() not in {"bearer", *_TOKEN_TYPES}
    if is_other or use != "access" or "events" in claims:  # events make a security event (RFC 8417, 2.2)
        raise WrongKindError("The token is not an access token: its claims declare another kind.")
    # Old versions of Keycloak copy the nonce into access tokens, and name the kind as well.
    marks = _ID_TOKEN_CLAIMS if kind is None else _ID_TOKEN_CLAIMS[1:]
    if any(name in claims for name in marks):
        raise WrongKindError("The token is an id token; send the access token.")


def bearer(headers: Headers) -> str | None:
    """Return the bearer token (RFC 6750, 2.1); None if there is none, or more than one."""
    given = headers.getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and _is_plain(token) else None


def challenge(message: str, error: str = "", *, status: int = 401, scopes: str = "", metadata_url: str = "") -> Refusal:
    """Return a refusal with the header that tells a client what to do next (RFC 6750, 3; RFC 9728, 5.1)."""
    parts = {"error": error, "scope": scopes, "resource_metadata": metadata_url}
    written = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    return Refusal(status, error or "unauthorized", message, {"WWW-Authenticate": f"Bearer {written}".strip()})


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text
