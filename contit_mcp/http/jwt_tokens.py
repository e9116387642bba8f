"""Mode `jwt`: an OAuth 2.1 resource server that takes its issuer's access tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import InvalidSubjectError
from starlette.datastructures import Headers

from contit_mcp.http.authentication import bearer, unauthorized
from contit_mcp.http.jwks import IssuerKeys, KeysUnavailableError
from contit_mcp.http.refusals import Refusal, too_many
from contit_mcp.server.request_state import Caller

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key pair only: with a shared secret, whoever can check a token can make one."""

LEEWAY_SECONDS = 10
"""How far the issuer's clock may be from ours."""


@dataclass(frozen=True, slots=True)
class JwtTokens:
    """Takes tokens.

    Attributes:
        keys: The issuer's.
        issuer: Without a slash at its end; tokens may write one.
        audience: What `aud` must hold.
        scopes: What a token must have, each of them.
        metadata_url: Where clients learn of the issuer (RFC 9728).
    """

    keys: IssuerKeys
    issuer: str
    audience: str
    scopes: Sequence[str]
    metadata_url: str

    async def __call__(self, headers: Headers) -> Caller | Refusal:
        """Say who it is."""
        token = bearer(headers)
        if token is None:
            return unauthorized("Send an access token of this server's issuer.", metadata_url=self.metadata_url)
        try:
            claims = await self._claims(token)
        except KeysUnavailableError:
            return too_many(
                "issuer_unavailable", "The issuer's keys cannot be had at the moment.", status=503, retry_after=30
            )
        except jwt.PyJWTError as error:
            return self._refused(error)
        granted = _scopes(claims)
        if missing := [scope for scope in self.scopes if scope not in granted]:
            challenge = (
                f'Bearer error="insufficient_scope", scope="{" ".join(self.scopes)}",'
                f' resource_metadata="{self.metadata_url}"'
            )
            message = f"The token lacks the scope {', '.join(missing)}."
            return Refusal(403, "insufficient_scope", message, {"WWW-Authenticate": challenge})
        return Caller(principal=claims["sub"])

    async def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        key_id, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        key = await self.keys.key(key_id) if isinstance(key_id, str) and len(key_id) <= 256 else None
        if key is None:
            raise jwt.InvalidKeyError
        claims = jwt.decode(
            token,
            key.made_for(algorithm),
            algorithms=[algorithm],
            audience=self.audience,
            issuer=[self.issuer, f"{self.issuer}/"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
        if not claims["sub"].strip() or not _is_unicode(claims["sub"]):
            raise InvalidSubjectError
        return claims

    def _refused(self, error: jwt.PyJWTError) -> Refusal:
        known: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
            (jwt.ExpiredSignatureError, "The token has expired; get a new one."),
            (jwt.ImmatureSignatureError, "The token is not valid yet; check the clocks."),
            (jwt.InvalidAudienceError, f"The token is for another audience than {self.audience}."),
            (jwt.InvalidIssuerError, "The token is of another issuer."),
        )
        message = next(
            (text for kind, text in known if isinstance(error, kind)), "The token is not one of the issuer's."
        )
        return unauthorized(message, wrong=True, metadata_url=self.metadata_url)


def _is_unicode(text: str) -> bool:
    """JSON can hold halves of characters, which nothing else can write down."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _scopes(claims: dict[str, Any]) -> set[str]:
    """`scope` as RFC 9068 writes it, or `scp` as some issuers do."""
    found = claims.get("scope", claims.get("scp", ""))
    return set(found.split() if isinstance(found, str) else map(str, found) if isinstance(found, list) else ())
