"""The authorization code flow without a client library, for tokens that no client asks for."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.signin.login import log_in
from tests.signin.stage import Provider

CALLBACK = "http://127.0.0.1:7777/callback"


def get_tokens(provider: Provider, scope: str, *, resource: bool = True, bound: bool = False) -> dict[str, Any]:
    """Register, log in, and exchange the code; what the token endpoint answers.

    `resource` names the resource (RFC 8707), and `bound` binds the token to a key of the client (DPoP, RFC 9449).
    """
    target = {"resource": provider.resource} if resource else {}
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    common = {"redirect_uri": CALLBACK, **target}
    client: dict[str, object] = {"redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"]}
    client |= {"token_endpoint_auth_method": "none", "application_type": "native"}
    with httpx.Client(trust_env=False, timeout=20) as http:
        client_id = http.post(f"{provider.issuer}/reg", json=client).raise_for_status().json()["client_id"]
        query = {"client_id": client_id, "response_type": "code", "scope": scope, **common}
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        query |= {"nonce": "n"} if "openid" in scope else {}
        back = parse_qs(urlsplit(log_in(f"{provider.issuer}/auth?{urlencode(query)}")).query)
        assert "code" in back, back
        grant = {"grant_type": "authorization_code", "client_id": client_id, **common}
        grant |= {"code": back["code"][0], "code_verifier": verifier}
        address = f"{provider.issuer}/token"
        headers = {"DPoP": _proof(address)} if bound else {}
        found: dict[str, Any] = http.post(address, data=grant, headers=headers).raise_for_status().json()
    return found


def _proof(address: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
    claims = {"jti": secrets.token_hex(8), "htm": "POST", "htu": address, "iat": int(time.time())}
    return jwt.encode(claims, key, "ES256", {"typ": "dpop+jwt", "jwk": public})
