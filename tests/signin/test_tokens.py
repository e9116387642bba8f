"""Tokens of a real provider, and tokens signed with its keys: which pass, and what the others are told."""

import hashlib
import hmac
from collections.abc import Callable

import jwt
import pytest

from tests.children import INITIALIZE, rpc
from tests.http.issuer import KeyPair, bearer
from tests.signin.by_hand import get_tokens
from tests.signin.stage import FIRST, Provider, Stage

CHALLENGE = 'scope="contit:ask", resource_metadata="{}/.well-known/oauth-protected-resource/mcp"'


def status(scene: Stage, token: str) -> int:
    """What a request with this token is answered; a refusal has the headers that a client needs."""
    answer = scene.server.post(rpc("ping"), **bearer(token))
    challenge = CHALLENGE.format(scene.server.base)
    match answer.status_code:
        case 401:
            assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", {challenge}'
        case 403:
            assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", {challenge}'
        case _:
            assert answer.status_code == 200, answer.text
    return answer.status_code


def test_of_all_that_it_gives_the_access_token_for_this_server_passes(scene: Stage) -> None:
    """An id token, a refresh token, and an access token for nothing in particular do not (RFC 9068, 4)."""
    given = get_tokens(scene.provider, "openid contit:ask")
    assert jwt.get_unverified_header(given["access_token"])["typ"] == "at+jwt"
    assert status(scene, given["access_token"]) == 200
    assert status(scene, given["id_token"]) == 401
    assert status(scene, given["refresh_token"]) == 401
    assert status(scene, get_tokens(scene.provider, "openid", resource=False)["access_token"]) == 401


def test_a_token_that_is_bound_to_its_clients_key_is_refused(scene: Stage) -> None:
    """As a bearer token it would serve anyone who has it (RFC 9449, 7.1)."""
    given = get_tokens(scene.provider, "contit:ask", bound=True)
    assert given["token_type"] == "DPoP"
    assert "cnf" in jwt.decode(given["access_token"], options={"verify_signature": False})
    assert status(scene, given["access_token"]) == 401


def test_a_token_without_the_scope_is_told_to_ask_for_it(scene: Stage) -> None:
    """It was granted another one."""
    assert status(scene, get_tokens(scene.provider, "contit:read")["access_token"]) == 403
    assert status(scene, get_tokens(scene.provider, "contit:read contit:ask")["access_token"]) == 200


def confused(provider: Provider) -> str:
    """Signed with the public key as a shared secret."""
    payload = provider.token().split(".")[1]
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"first","typ":"at+jwt"}').decode()
    signature = hmac.new(FIRST.pem(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"


REFUSED: dict[str, Callable[[Provider], str]] = {
    "wrong audience": lambda p: p.token(aud="https://other.example/mcp"),
    "the origin as audience": lambda p: p.token(aud=p.resource.removesuffix("/mcp")),
    "wrong issuer": lambda p: p.token(iss="https://other.example"),
    "expired": lambda p: p.token(exp=1),
    "signed by a stranger under the same id": lambda p: p.token(KeyPair("first")),
    "signed by a stranger": lambda p: p.token(KeyPair("stranger")),
    "another algorithm than its key's": lambda p: jwt.encode({}, FIRST.private, "PS256", {"kid": "first"}),
    "unsigned": lambda p: jwt.encode({"iss": p.issuer}, "", "none", {"kid": "first"}),
    "signed with the public key": confused,
    "logout": lambda p: p.token(headers={"typ": "logout+jwt"}, events={"x": {}}),
    "logout without a type": lambda p: p.token(headers={"typ": "JWT"}, events={"x": {}}),
    "proof of possession": lambda p: p.token(headers={"typ": "dpop+jwt"}),
    "id token": lambda p: p.token(headers={"typ": "JWT"}, nonce="n", at_hash="h"),
    "id token with a type": lambda p: p.token(headers={"typ": "id_token+jwt"}),
    "bound by DPoP": lambda p: p.token(cnf={"jkt": "x" * 43}),
    "bound by a certificate": lambda p: p.token(cnf={"x5t#S256": "x" * 43}),
    "introspection": lambda p: p.token(headers={"typ": "token-introspection+jwt"}),
    "request object": lambda p: p.token(headers={"typ": "oauth-authz-req+jwt"}),
    "grant for another server": lambda p: p.token(headers={"typ": "oauth-id-jag+jwt"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_token_that_is_not_for_this_server_is_refused(scene: Stage, case: str) -> None:
    """Each differs in one point from a token that passes."""
    assert status(scene, scene.provider.token()) == 200
    assert status(scene, REFUSED[case](scene.provider)) == 401
    scene.server.assert_unharmed()


def test_no_token_is_told_where_to_get_one(scene: Stage) -> None:
    """A bare URL is all that a person enters."""
    answer = scene.server.post(INITIALIZE)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f"Bearer {CHALLENGE.format(scene.server.base)}"


def test_a_withdrawn_key_is_refused_and_a_new_one_accepted(scene: Stage) -> None:
    """At once, when the new one is used."""
    old, key = scene.provider.token(), KeyPair("replacement")
    assert status(scene, old) == 200
    scene.provider.sign_with(key)
    assert status(scene, scene.provider.token()) == 200
    assert status(scene, old) == 401
