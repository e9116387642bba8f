"""Mode `jwt` at a real server with a real issuer: which tokens pass, and what the others are told."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response

from tests.http.issuer import AUDIENCE, FIRST, OPENID, SECOND, Issuer, KeyPair, bearer, issuing
from tests.http.served import INITIALIZE, Served, contit, rpc

METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
METADATA_URL = "https://assistant.example" + METADATA_PATH
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = int(time.time())


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Whose tokens are taken."""
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def server(issuer: Issuer) -> Iterator[Served]:
    """A server that wants two scopes."""
    with contit() as upstream:
        environment = issuer.settings(CONTIT_BASE_URL=upstream.url, CONTIT_MCP_JWT_SCOPES="contit, ask")
        with Served(environment) as server:
            assert server.post(rpc("ping"), **bearer(good(issuer))).status_code == 200
            yield server


def good(issuer: Issuer, **more: Any) -> str:
    """A token with all that is wanted, but for what `more` changes."""
    return issuer.token(**{"scope": "openid ask contit", **more})


def text(data: bytes) -> str:
    """Base64url, as in tokens."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(issuer: Issuer, header: Any, sign: Callable[[bytes], bytes] = lambda _: b"signature") -> str:
    """A token with a header of the attacker's choice, and good claims."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{text(head)}.{text(json.dumps(issuer.claims(scope='ask contit')).encode())}"
    return f"{signed}.{text(sign(signed.encode()))}"


def keyed(secret: bytes) -> Callable[[bytes], bytes]:
    """HS256 with this secret."""
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


RSA_WITH_A_SECRET = {"alg": "HS256", "kid": "first"}
OWN = {"alg": "RS256", "kid": "first"}
REFUSED: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda i: good(i, exp=NOW - 60),
    "not valid yet": lambda i: good(i, nbf=NOW + 3_600),
    "issued in the future": lambda i: good(i, iat=NOW + 3_600),
    "for another audience": lambda i: good(i, aud="https://other.example/mcp"),
    "for an audience that begins alike": lambda i: good(i, aud=AUDIENCE + "x"),
    "for no audience": lambda i: good(i, aud=None),
    "of another issuer": lambda i: good(i, iss="https://other.example"),
    "of an issuer that begins alike": lambda i: good(i, iss=i.url + ".evil.example"),
    "of no issuer": lambda i: good(i, iss=None),
    "without end": lambda i: good(i, exp=None),
    "with an end in words": lambda i: good(i, exp="tomorrow"),
    "with an end at infinity": lambda i: good(i, exp=float("inf")),
    "for nobody": lambda i: good(i, sub=None),
    "for an empty name": lambda i: good(i, sub=" "),
    "for a number": lambda i: good(i, sub=7),
    "for half a character": lambda i: good(i, sub="\ud800"),
    "unsigned": lambda i: made(i, {"alg": "none", "kid": "first"}, lambda _: b""),
    "unsigned, spelt otherwise": lambda i: made(i, {"alg": "nOnE", "kid": "first"}, lambda _: b""),
    "signed with the public key as a secret (PEM)": lambda i: made(i, RSA_WITH_A_SECRET, keyed(FIRST.pem())),
    "signed with the public key as a secret (JWK)": lambda i: made(
        i, RSA_WITH_A_SECRET, keyed(json.dumps(FIRST.public()).encode())
    ),
    "signed with a secret that stands among the keys": lambda i: made(
        i, {"alg": "HS256", "kid": "secret"}, keyed(b"k" * 32)
    ),
    "signed with another key": lambda i: good(i, key=KeyPair("first")),
    "signed with a key for encryption": lambda i: good(i, key=KeyPair("encrypts")),
    "with another algorithm than its key's": lambda i: jwt.encode(
        i.claims(scope="ask contit"), SECOND.private, "PS256", headers={"kid": "fixed"}
    ),
    "of elliptic curves under an RSA key's id": lambda i: jwt.encode(
        i.claims(scope="ask contit"), EC_KEY, "ES256", headers={"kid": "first"}
    ),
    "with its own key along": lambda i: good(i, key=SECOND, headers={"kid": "first", "jwk": SECOND.public()}),
    "with an address of its key": lambda i: good(i, key=SECOND, headers={"kid": "x", "jku": f"{i.url}/evil"}),
    "with an address of its certificate": lambda i: good(i, key=SECOND, headers={"kid": "x", "x5u": f"{i.url}/evil"}),
    "with a file as its key's id": lambda i: made(i, OWN | {"kid": "../../../dev/null"}, keyed(b"")),
    "with a number as its key's id": lambda i: made(i, OWN | {"kid": 1}),
    "with a list as its key's id": lambda i: made(i, OWN | {"kid": ["first"]}),
    "with a very long id": lambda i: made(i, OWN | {"kid": "k" * 4_000}),
    "without its key's id": lambda i: made(i, {"alg": "RS256"}),
    "without an algorithm": lambda i: made(i, {"kid": "first"}),
    "with a list as algorithm": lambda i: made(i, OWN | {"alg": ["RS256"]}),
    "with an extension that nobody knows": lambda i: good(i, headers={"crit": ["x"], "x": 1}),
    "with a header of 5,000 lists": lambda i: made(i, b"[" * 4_000),
    "with a header that is no object": lambda i: made(i, [1]),
    "with a header of other bytes": lambda i: made(i, b"\xff\xfe"),
    "cut": lambda i: good(i)[:-5],
    "without signature": lambda i: good(i).rpartition(".")[0] + ".",
    "with other claims put in": lambda i: ".".join(
        [good(i).split(".")[0], text(json.dumps(i.claims(sub="eve", scope="ask contit")).encode()), good(i).split(".")[2]]
    ),
    "garbage": lambda i: "garbage",
    "dots": lambda i: "....",
    "encrypted": lambda i: "e30.e30.e30.e30.e30",
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_token_that_is_not_good_is_refused(server: Served, issuer: Issuer, case: str) -> None:
    """Documented: RFC 8725 (algorithms, keys, claims), RFC 6750, 3.1, RFC 9728, 5.1."""
    fetches = issuer.fetches
    token = REFUSED[case](issuer)
    answer = server.post(INITIALIZE, **bearer(token))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
    assert len(answer.content) < 200
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", resource_metadata="{METADATA_URL}"'
    assert "/evil" not in issuer.asked
    assert issuer.fetches - fetches <= 1
    server.assert_unharmed()
    assert token[-20:] not in server.stderr or len(token) < 20


def test_however_many_unknown_keys_are_named_the_issuer_is_asked_once_in_a_while(
    server: Served, issuer: Issuer
) -> None:
    """Anybody can name keys (our choice: once in REFETCH_SECONDS)."""
    server.post(INITIALIZE, **bearer(good(issuer, key=KeyPair("new"))))
    fetches = len(issuer.asked)
    for number in range(100):
        answer = server.post(INITIALIZE, **bearer(made(issuer, {"alg": "RS256", "kid": f"unknown-{number}"})))
        assert answer.status_code == 401
    assert len(issuer.asked) - fetches <= 2
    assert server.post(rpc("ping"), **bearer(good(issuer))).status_code == 200


def test_no_token_is_a_challenge_that_says_where_to_get_one(server: Served, issuer: Issuer) -> None:
    """And nothing about an error (documented: RFC 6750, 3; RFC 9728, 5.1 and 3.2; MCP authorization)."""
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = server.post(INITIALIZE, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{METADATA_URL}"'
    metadata = server.http.get(server.base + METADATA_PATH)
    assert metadata.status_code == 200
    found = metadata.json()
    assert found["resource"] == AUDIENCE
    assert found["authorization_servers"] == [issuer.url], "clients compare it letter by letter (RFC 8414, 3.3)"
    assert found["scopes_supported"] == ["contit", "ask"]
    assert found["bearer_methods_supported"] == ["header"]


GRANTED: list[dict[str, Any]] = [
    {"scope": "ask contit"}, {"scope": ["contit", "ask", "more"]}, {"scope": None, "scp": ["ask", "contit"]},
    {"scope": None, "scp": "contit ask"}, {"aud": ["https://other.example", AUDIENCE]}, {"exp": NOW + 3_600, "nbf": NOW},
]  # fmt: skip
LACKING = [
    None,
    "",
    "ask",
    "contit",
    "contitask",
    "Contit Ask",
    "contit,ask",
    ["ask"],
    7,
    {"contit": 1, "ask": 1},
    [["contit"]],
]


@pytest.mark.parametrize("claims", GRANTED)
def test_a_good_token_passes(server: Served, issuer: Issuer, claims: dict[str, Any]) -> None:
    """Scopes as RFC 9068, 2.2.3 writes them, or as common issuers do; several audiences (documented: RFC 7519, 4.1.3)."""
    assert server.post(rpc("ping"), **bearer(good(issuer, sub="grace", **claims))).status_code == 200
    assert server.last("http.request", caller="grace")["status"] == 200


@pytest.mark.parametrize("scope", LACKING)
def test_a_token_without_all_scopes_is_told_which_are_wanted(server: Served, issuer: Issuer, scope: object) -> None:
    """Documented: RFC 6750, 3.1; MCP authorization, "Scope Challenge Handling"."""
    answer = server.post(INITIALIZE, **bearer(good(issuer, scope=scope)))
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", scope="contit ask"')
    assert f'resource_metadata="{METADATA_URL}"' in challenge
    assert answer.json()["error"] == "insufficient_scope"


def test_an_issuer_that_is_down_at_the_start_is_said_to_be_and_not_the_token() -> None:
    """So clients do not throw good tokens away; the server starts (our choice)."""

    async def down() -> Response:
        return Response(status_code=502)

    with issuing() as issuer, contit() as upstream, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
        issuer.instead = down
        for _ in range(20):
            answer = server.post(INITIALIZE, **bearer(issuer.token()))
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "30"
            assert answer.json()["error"] == "issuer_unavailable"
        assert issuer.asked == [OPENID, "/keys"]
        assert not upstream.seen.keys
        server.assert_unharmed()
