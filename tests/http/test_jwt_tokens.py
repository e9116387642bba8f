"""Mode `jwt` at a real server with a real issuer: which tokens pass, and what the others are told."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response

from tests.children import INITIALIZE, Contit, Served, contit, rpc
from tests.http.issuer import AUDIENCE, FIRST, LEAKED_KEYS, SECOND, Issuer, KeyPair, bearer, issuing

METADATA_PATHS = ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource")
METADATA_URL = "https://assistant.example" + METADATA_PATHS[0]
WHAT_TO_DO = f'scope="api://contit/ask api://contit/read", resource_metadata="{METADATA_URL}"'
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = int(time.time())
ORIGIN = "https://host.example"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        issuer.keys += LEAKED_KEYS
        yield issuer


@pytest.fixture(scope="module")
def server(issuer: Issuer, upstream: Contit) -> Iterator[Served]:
    """A server that wants two scopes, which clients have to request by other names."""
    scopes = {
        "CONTIT_MCP_JWT_SCOPES": "contit, ask",
        "CONTIT_MCP_JWT_ADVERTISED_SCOPES": "api://contit/ask,api://contit/read",
        "CONTIT_MCP_ALLOWED_ORIGINS": ORIGIN,
    }
    environment = issuer.settings(CONTIT_BASE_URL=upstream.url) | scopes
    with Served(environment, errors_expected=frozenset({"jwt.private_key_published"})) as server:
        assert server.post(rpc("ping"), **bearer(good(issuer))).status_code == 200
        yield server


def good(issuer: Issuer, **more: Any) -> str:
    """A token with all that is wanted, but for what `more` changes."""
    return issuer.token(**{"scope": "openid ask contit", **more})


def with_claim(claim: str, issuer: Issuer) -> str:
    """A good token with one more claim."""
    return good(issuer, **{claim: "x"})


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
    "signed with a private key that the issuer published": lambda i: good(i, key=KeyPair("leaked", SECOND.private)),
    "of a type that is a number": lambda i: good(i, headers={"typ": 7}),
    **{f"of type {kind}": partial(good, headers={"typ": kind}) for kind in (
        "logout+jwt", "dpop+jwt", "application/dpop+jwt", "LOGOUT+JWT", "secevent+jwt", "token-introspection+jwt", "rt+jwt",
        "id_token+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+sd-jwt", "kb+jwt", "oauth-id-jag+jwt", "JWE", "at+jwt; x", "at+",
    )},
    **{f"bound to its client by {name}": partial(good, cnf={name: "x" * 43}) for name in ("jkt", "x5t#S256", "kid", "jwk")},
    "bound to its client by an empty claim": lambda i: good(i, cnf={}),
    "of type at+jwt, bound to its client": lambda i: good(i, headers={"typ": "at+jwt"}, cnf={"jkt": "x"}),
    **{f"for the client itself, with {name}": partial(with_claim, name) for name in ("nonce", "at_hash", "c_hash", "s_hash")},
    **{f"with the claim typ={kind}": partial(good, typ=kind) for kind in ("ID", "Refresh", "Offline", "Logout", 7)},
    "of Keycloak for the client itself": lambda i: good(i, typ="ID", nonce="n", at_hash="h", azp="web"),
    "of Cognito for the client itself": lambda i: good(i, token_use="id"),
    "that logs out": lambda i: good(i, events={"http://schemas.openid.net/event/backchannel-logout": {}}, sid="s"),
    "for an audience with two slashes": lambda i: good(i, aud=AUDIENCE + "//"),
    "for the server's origin": lambda i: good(i, aud=AUDIENCE.removesuffix("/mcp")),
    "of an issuer with two slashes": lambda i: good(i, iss=i.url + "//"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_token_that_is_not_good_is_refused(server: Served, issuer: Issuer, case: str) -> None:
    """RFC 8725 (algorithms, keys, claims, types), RFC 6750, 3.1, RFC 9728, 5.1."""
    fetches = issuer.fetches
    token = REFUSED[case](issuer)
    answer = server.post(INITIALIZE, **bearer(token))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
    assert len(answer.content) < 250
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", {WHAT_TO_DO}'
    assert "/evil" not in issuer.asked
    assert issuer.fetches - fetches <= 1
    server.assert_unharmed()
    assert token[-20:] not in server.stderr or len(token) < 20


def test_no_token_is_a_challenge_that_says_where_to_get_one(server: Served, issuer: Issuer) -> None:
    """And nothing about an error (RFC 6750, 3; RFC 9728, 5.1 and 3.2). Pages of every origin can read the metadata."""
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": f"DPoP {good(issuer)}"}):
        answer = server.post(INITIALIZE, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == f"Bearer {WHAT_TO_DO}"
    for path, origin in product(METADATA_PATHS, (ORIGIN, "https://other.example", "null")):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = server.http.options(server.base + path, headers=asked)
        metadata = server.http.get(server.base + path, headers={"Origin": origin})
        for answer in (preflight, metadata):
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        found = metadata.json()
        assert found["resource"] == AUDIENCE
        assert found["authorization_servers"] == [issuer.url], "clients compare it letter by letter (RFC 8414, 3.3)"
        assert found["scopes_supported"] == ["api://contit/ask", "api://contit/read"]
        assert found["bearer_methods_supported"] == ["header"]


def test_pages_of_an_allowed_origin_alone_can_read_the_challenge(server: Served) -> None:
    """Without `WWW-Authenticate` a page cannot find out where to sign in."""
    allowed = server.post(INITIALIZE, Origin=ORIGIN)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert "WWW-Authenticate" in allowed.headers["access-control-expose-headers"]
    foreign = server.post(INITIALIZE, Origin="https://other.example")
    assert foreign.status_code == 403
    assert not {"access-control-allow-origin", "www-authenticate"} & foreign.headers.keys()


ADVERTISED = {"": ["openid"], "contit.ask": ["contit.ask"], "contit.ask,contit.read": ["contit.ask", "contit.read"]}


@pytest.mark.parametrize("scopes", ADVERTISED)
def test_scopes_are_always_advertised(issuer: Issuer, scopes: str) -> None:
    """A client that knows no scope requests none, and some issuers then grant nothing."""
    given = {"CONTIT_MCP_JWT_SCOPES": scopes, "CONTIT_MCP_PUBLIC_URL": "https://assistant.example/team/contit"}
    below = "/.well-known/oauth-protected-resource/team/contit"
    with Served(issuer.settings(**given)) as server:
        for path in (*METADATA_PATHS, below):
            assert server.http.get(server.base + path).json()["scopes_supported"] == ADVERTISED[scopes]
        challenge = server.post(INITIALIZE).headers["www-authenticate"]
    assert f'scope="{" ".join(ADVERTISED[scopes])}"' in challenge
    assert f'resource_metadata="https://assistant.example{below}"' in challenge


GRANTED: list[dict[str, Any]] = [
    {"scope": "ask contit"}, {"scope": ["contit", "ask", "more"]}, {"scope": None, "scp": ["ask", "contit"]},
    {"scope": None, "scp": "contit ask"}, {"aud": ["https://other.example", AUDIENCE]}, {"exp": NOW + 3_600, "nbf": NOW},
    {"aud": f"{AUDIENCE}/"}, {"aud": ["https://other.example", f"{AUDIENCE}/"]}, {"cnf": None, "nonce": None},
    {"typ": "Bearer", "nonce": "n"}, {"token_use": "access"}, {"scope": "ask", "scp": ["contit"]},
    *({"headers": {"typ": kind}} for kind in (
        "at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", "application/jwt", None,
    )),
]  # fmt: skip
LACKING = [None, "", "ask", "contit", "contitask", "Contit Ask", "contit,ask", ["ask"], 7, {"contit": 1}, [["contit"]]]


@pytest.mark.parametrize("claims", GRANTED)
def test_a_good_token_passes(server: Served, issuer: Issuer, claims: dict[str, Any]) -> None:
    """Scopes, types and audiences as RFC 9068 and RFC 7519 write them, or as common issuers do."""
    assert server.post(rpc("ping"), **bearer(good(issuer, sub="grace", **claims))).status_code == 200
    assert server.last("http.request", caller="grace")["status"] == 200


@pytest.mark.parametrize("scope", LACKING)
def test_a_token_without_all_scopes_is_told_which_are_wanted(server: Served, issuer: Issuer, scope: object) -> None:
    """In the words that it has to request them by (RFC 6750, 3.1; MCP authorization, "Scope Challenge Handling")."""
    answer = server.post(INITIALIZE, **bearer(good(issuer, scope=scope)))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", {WHAT_TO_DO}'
    assert answer.json()["error"] == "insufficient_scope"


def test_a_server_starts_although_its_issuer_is_down_and_calls_no_token_bad(upstream: Contit) -> None:
    """So clients do not throw good tokens away."""

    async def down() -> Response:
        return Response(status_code=502)

    with issuing() as issuer, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
        issuer.instead = down
        for _ in range(20):
            answer = server.post(INITIALIZE, **bearer(issuer.token()))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
            assert answer.json()["error"] == "issuer_unavailable"
        assert issuer.fetches <= 2
        server.assert_unharmed()


TENANT = "0e2f7b8a-1111-4222-8333-944455556666"
API = "5d1c9b7e-aaaa-4bbb-8ccc-9ddddeeeefff"
VENDORS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    # As each vendor documents the claims of its access tokens; the recipes in docs/deployment.md name the pages.
    "Keycloak": (
        {"CONTIT_MCP_JWT_SCOPES": "contit.ask"},
        {"typ": "Bearer", "azp": "client", "scope": "openid contit.ask", "aud": [AUDIENCE, "account"], "sid": "s", "jti": "j"},
    ),
    "Entra ID, version 2": (
        {
            "CONTIT_MCP_JWT_AUDIENCE": API,
            "CONTIT_MCP_JWT_SCOPES": "contit.ask",
            "CONTIT_MCP_JWT_ADVERTISED_SCOPES": f"{AUDIENCE}/contit.ask",
        },
        {"aud": API, "scp": "contit.ask", "azp": "client", "azpacr": "0", "ver": "2.0", "tid": TENANT, "aio": "x", "uti": "u"},
    ),
    "Auth0": (
        {"CONTIT_MCP_JWT_SCOPES": "contit:ask"},
        {"sub": "auth0|123456", "aud": [AUDIENCE, "https://t.auth0.com/userinfo"], "azp": "client", "scope": "openid contit:ask"},
    ),
    "Auth0, RFC 9068": (
        {"CONTIT_MCP_JWT_SCOPES": "contit:ask"},
        {
            "headers": {"typ": "at+jwt"}, "aud": [AUDIENCE], "client_id": "client", "jti": "j", "scope": "openid contit:ask",
        },
    ),
    "Cloudflare Access": (
        {"CONTIT_MCP_JWT_AUDIENCE": "a" * 64, "CONTIT_MCP_JWT_HEADER": "Cf-Access-Jwt-Assertion"},
        {"aud": ["a" * 64], "email": "ada@example.com", "nbf": NOW, "type": "app", "identity_nonce": "n", "country": "US"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_tokens_as_the_vendors_document_them_pass_with_the_settings_of_their_recipes(
    issuer: Issuer, vendor: str
) -> None:
    """The shapes are those of their documentation; no tenant of theirs was used."""
    settings, claims = VENDORS[vendor]
    issuer.keys = [FIRST.public()]
    issuer.says(issuer=f"{issuer.url}/" if vendor.startswith("Auth0") else issuer.url)
    header = settings.get("CONTIT_MCP_JWT_HEADER")
    with Served(issuer.settings(**settings)) as server:
        for subject, expected in (("ada", 200), ("", 401)):
            token = issuer.token(**{"sub": subject, **claims} if subject else {**claims, "sub": subject})
            given = {header: token} if header else bearer(token)
            assert server.post(rpc("ping"), **given).status_code == expected
        if header:
            assert server.post(rpc("ping"), **bearer(issuer.token(**claims))).status_code == 401


def test_a_subject_of_another_issuer_or_a_token_of_that_name_is_another_caller(tmp_path: Path) -> None:
    """On one store, behind one seal key: `sub` is unique within its issuer only (RFC 7519, 4.1.2)."""
    secret = "token-of-ada-with-twenty-characters"
    with issuing() as one, issuing() as other, contit() as upstream:
        common = {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": f"sqlite:{tmp_path / 'runs.sqlite3'}"}
        token_mode = one.settings(CONTIT_MCP_AUTH="token", CONTIT_MCP_TOKENS=f"ada:{secret}")
        threads: list[str] = []
        for settings, token, own in (
            (one.settings(), one.token(sub="ada"), None),
            (other.settings(), other.token(sub="ada"), None),
            (token_mode, secret, None),
            (one.settings(), one.token(sub="ada"), 0),
        ):
            with Served(settings | common) as server:
                asked = server.call("contit_ask", {"prompt": "How many drafts are there?"}, **bearer(token))
                for number, thread in enumerate(threads):
                    found = server.call("contit_response", {"thread_id": thread}, **bearer(token))
                    assert found["isError"] is (number != own)
                threads.append(asked["structuredContent"]["thread_id"])
        assert len(upstream.record.runs) >= 3, "none was joined"
