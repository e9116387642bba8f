"""Who calls: each mode is a function from headers to a caller or a refusal; one middleware asks it."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.config.settings_http import LONGEST_TOKEN
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth
from contit_mcp.errors import ConfigurationError
from contit_mcp.http.refusals import Refusal, too_many
from contit_mcp.server.request_state import Caller, request_state
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

Identify = Callable[[Headers], Awaitable[Caller | Refusal]]
"""Says who sends these headers."""


class Authentication:
    """ASGI middleware: no caller, no call.

    Args:
        app: What is behind it; it finds the caller in the scope.
        identify: The mode.
    """

    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self._app = app
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        found = await self._identify(Headers(scope=scope))
        if isinstance(found, Refusal):
            await found.response(scope)(scope, receive, send)
            return
        request_state(scope).caller = found
        await self._app(scope, receive, send)


async def anyone(_: Headers) -> Caller | Refusal:
    """Mode `none`: whoever reaches this machine's loopback."""
    return Caller()


@dataclass(frozen=True, slots=True)
class StaticTokens:
    """Mode `token`: bearer tokens, each with its caller's name.

    Attributes:
        tokens: Gives the tokens by name as they are now; a file of them can change.
    """

    tokens: Callable[[], Mapping[str, str]]

    async def __call__(self, headers: Headers) -> Caller | Refusal:
        """Say who it is. Every token is compared, in constant time each, so that time tells nothing."""
        given = bearer(headers)
        if given is None:
            return unauthorized("Send one of this server's tokens: Authorization: Bearer …")
        try:
            tokens = self.tokens()
        except ConfigurationError as error:
            # Their file is being changed, or is broken. The tokens from before could be withdrawn ones.
            log.error("tokens.unusable", problem=error.message, hint=error.hint)  # noqa: TRY400 - says all there is
            return too_many(
                "tokens_unusable", "This server's tokens cannot be read at the moment.", status=503, retry_after=10
            )
        found = None
        for name, token in tokens.items():
            if hmac.compare_digest(given.encode(), token.encode()):
                found = name
        return unauthorized("The token is not known here.", wrong=True) if found is None else Caller(principal=found)


async def own_credential(headers: Headers) -> Caller | Refusal:
    """Mode `caller`: the caller's own Contit credential, which Contit judges. Never a fallback to the server's."""
    key, token = headers.getlist("x-api-key"), bearer(headers)
    if len(key) + len(headers.getlist("authorization")) > 1:
        return Refusal(
            400, "two_credentials", "Send one Contit credential: X-Api-Key, or Authorization: Bearer ctpat_…"
        )
    if key and _is_plain(key[0]):
        return Caller(credential=APIKeyAuth(SecretValue("X-Api-Key", value=key[0])))
    if token is not None and token.startswith("ctpat_"):
        return Caller(credential=AccessTokenAuth(SecretValue("Authorization", value=token)))
    return unauthorized(
        "Send your Contit credential: X-Api-Key: …, or Authorization: Bearer ctpat_…", wrong=bool(token)
    )


def bearer(headers: Headers) -> str | None:
    """The bearer token (RFC 6750, 2.1); None when there is none, or several."""
    given = headers.getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and _is_plain(token) else None


def unauthorized(message: str, *, wrong: bool = False, metadata_url: str | None = None) -> Refusal:
    """A 401 with what RFC 6750, 3 and RFC 9728, 5.1 want of it.

    Args:
        message: What to send.
        wrong: Whether something was sent, and refused.
        metadata_url: Where a client learns of the authorization server.
    """
    parts = ['error="invalid_token"'] if wrong else []
    parts += [f'resource_metadata="{metadata_url}"'] if metadata_url else []
    challenge = "Bearer" + (f" {', '.join(parts)}" if parts else "")
    return Refusal(401, "invalid_token" if wrong else "unauthorized", message, {"WWW-Authenticate": challenge})


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text
