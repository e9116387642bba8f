"""Tokens of a real provider: which pass, and what the others are told. `tests/http/test_jwt_tokens.py` has forged ones."""

import jwt

from tests.children import rpc
from tests.http.issuer import bearer
from tests.signin.by_hand import get_tokens
from tests.signin.stage import Stage

CHALLENGE = 'scope="contit:ask", resource_metadata="{}/.well-known/oauth-protected-resource/mcp"'


def status(scene: Stage, token: str) -> int:
    """What a request with this token is answered; a refusal has the headers that a client needs."""
    answer = scene.server.post(rpc("ping"), **bearer(token))
    challenge = CHALLENGE.format(scene.server.base)
    error = {401: "invalid_token", 403: "insufficient_scope"}.get(answer.status_code)
    assert answer.headers.get("www-authenticate") == (error and f'Bearer error="{error}", {challenge}')
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
