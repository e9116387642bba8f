"""An OAuth issuer on a loopback port: its metadata, its keys and its tokens."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.children import in_thread

AUDIENCE = "https://assistant.example/mcp"
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


@dataclass
class KeyPair:
    key_id: str
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65_537, 2_048))

    def public(self, **more: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        return {**found, "kid": self.key_id, "use": "sig"} | more


FIRST, SECOND = KeyPair("first"), KeyPair("second")
ODD_KEYS: list[Any] = [  # what an issuer may publish beside the key of its tokens
    SECOND.public(kid="fixed", alg="RS256"), SECOND.public(kid="encrypts", use="enc"),
    {"kty": "RSA", "n": 5, "kid": "broken"}, {"kty": "RSA", "kid": ["first"]}, {"kty": ["RSA"], "kid": "first"},
    {}, "key", None,
]  # fmt: skip
LEAKED_KEYS: list[Any] = [  # everyone who reads them can sign tokens with them
    {"kty": "oct", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s", "kid": "secret"},
    json.loads(RSAAlgorithm.to_jwk(SECOND.private)) | {"kid": "leaked"},
]


@dataclass
class Issuer:
    """Its metadata and keys, which a test can change, and the paths that it was asked for."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [FIRST.public(), *ODD_KEYS])
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by path
    asked: list[str] = field(default_factory=list)

    @property
    def fetches(self) -> int:
        return self.asked.count("/keys")

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if request.url.path == "/keys":
            return JSONResponse({"keys": self.keys})
        found = self.metadata.get(request.url.path)
        return Response("<html>nothing here</html>", 404) if found is None else JSONResponse(found)

    def says(self, place: str = OPENID, **more: str) -> None:
        """Publish its metadata at this path alone."""
        self.metadata = {place: {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | more}

    def claims(self, **more: Any) -> dict[str, Any]:
        """Return the claims of a good token with these changes; None leaves one out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "iat": now} | more
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: KeyPair = FIRST, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a good token, except for what `claims` and `headers` change."""
        return jwt.encode(self.claims(**claims), key.private, "RS256", headers={"kid": key.key_id} | (headers or {}))

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment of a server that accepts its tokens."""
        mode = {"CONTIT_MCP_AUTH": "jwt", "CONTIT_MCP_JWT_ISSUER": self.url, "CONTIT_MCP_PUBLIC_URL": AUDIENCE}
        return mode | {"CONTIT_MCP_SEAL_KEY": "s" * 32, "CONTIT_API_KEY": "sandbox-key"} | more


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Yield an issuer on a port, with metadata for OpenID Connect Discovery."""
    issuer = Issuer()
    with in_thread(issuer.app()) as issuer.url:
        issuer.says()
        yield issuer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
