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
    return issuer.token(**{"scope": "openid ask contit", **more})


def with_claim(name: str, value: Any, issuer: Issuer) -> str:
    return good(issuer, **{name: value.replace("ISSUER", issuer.url) if name == "iss" and value else value})


def signed(issuer: Issuer, key: Any, algorithm: str, key_id: str) -> str:
    return jwt.encode(issuer.claims(scope="ask contit"), key, algorithm, headers={"kid": key_id})


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(issuer: Issuer, header: Any, sign: Callable[[bytes], bytes] = lambda _: b"signature") -> str:
    """A token with a header of the attacker's choice, and good claims."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{text(head)}.{text(json.dumps(issuer.claims(scope='ask contit')).encode())}"
    return f"{signed}.{text(sign(signed.encode()))}"


def keyed(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


OWN, SECRET = {"alg": "RS256", "kid": "first"}, {"alg": "HS256", "kid": "first"}
CLAIMS: dict[str, tuple[object, ...]] = {
    "exp": (NOW - 60, None, "tomorrow", float("inf")),
    "nbf": (NOW + 3_600,),
    "iat": (NOW + 3_600,),
    "aud": ("https://other.example/mcp", AUDIENCE + "x", None, AUDIENCE + "//", AUDIENCE.removesuffix("/mcp")),
    "iss": ("https://other.example", "ISSUER.evil.example", None, "ISSUER//"),
    "sub": (None, " ", 7, "\ud800"),
    # Id tokens, and those of Keycloak, Cognito, and of a log-out
    **dict.fromkeys(("nonce", "at_hash", "c_hash", "s_hash"), ("x",)),
    "typ": ("ID", "Refresh", "Offline", "Logout", 7),
    "token_use": ("id",),
    "events": ({"http://schemas.openid.net/event/backchannel-logout": {}},),
    "cnf": ({}, *({name: "x" * 43} for name in ("jkt", "x5t#S256", "kid", "jwk"))),  # bound to a key of its client
}
TYPES: tuple[object, ...] = (
    "logout+jwt", "dpop+jwt", "application/dpop+jwt", "LOGOUT+JWT", "secevent+jwt", "token-introspection+jwt", "rt+jwt",
    "id_token+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+sd-jwt", "kb+jwt", "oauth-id-jag+jwt", "JWE",
    "at+jwt; x", "at+", 7,
)  # fmt: skip
HEADERS: tuple[object, ...] = (
    *(OWN | {"kid": odd} for odd in (1, ["first"], "k" * 4_000)), {"alg": "RS256"}, {"kid": "first"},
    OWN | {"alg": ["RS256"]}, b"[" * 4_000, [1], b"\xff\xfe",
)  # fmt: skip
REFUSED: dict[str, Callable[[Issuer], str]] = {
    **{f"{name} {n}": partial(with_claim, name, odd) for name, found in CLAIMS.items() for n, odd in enumerate(found)},
    **{f"of type {kind}": partial(good, headers={"typ": kind}) for kind in TYPES},
    **{f"with the header {header!r:.40}": partial(made, header=header) for header in HEADERS},
    "of type at+jwt, bound to its client": lambda i: good(i, headers={"typ": "at+jwt"}, cnf={"jkt": "x"}),
    "of Keycloak for the client itself": lambda i: good(i, typ="ID", nonce="n", at_hash="h", azp="web"),
    "unsigned": lambda i: made(i, {"alg": "none", "kid": "first"}, lambda _: b""),
    "unsigned, spelt otherwise": lambda i: made(i, {"alg": "nOnE", "kid": "first"}, lambda _: b""),
    "signed with the public key as a secret (PEM)": lambda i: made(i, SECRET, keyed(FIRST.pem())),
    "signed with the public key as a secret (JWK)": lambda i: made(
        i, SECRET, keyed(json.dumps(FIRST.public()).encode())
    ),
    "signed with a published secret": lambda i: made(i, {"alg": "HS256", "kid": "secret"}, keyed(b"k" * 32)),
    "signed with another key": lambda i: good(i, key=KeyPair("first")),
    "signed with a key for encryption": lambda i: good(i, key=KeyPair("encrypts")),
    "signed with a published private key": lambda i: good(i, key=KeyPair("leaked", SECOND.private)),
    "with another algorithm than its key's": lambda i: signed(i, SECOND.private, "PS256", "fixed"),
    "of elliptic curves under an RSA key's id": lambda i: signed(i, EC_KEY, "ES256", "first"),
    "with its own key along": lambda i: good(i, key=SECOND, headers={"kid": "first", "jwk": SECOND.public()}),
    "with an address of its key": lambda i: good(i, key=SECOND, headers={"kid": "x", "jku": f"{i.url}/evil"}),
    "with an address of its certificate": lambda i: good(i, key=SECOND, headers={"kid": "x", "x5u": f"{i.url}/evil"}),
    "with a file as its key's id": lambda i: made(i, OWN | {"kid": "../../../dev/null"}, keyed(b"")),
    "with an extension that nobody knows": lambda i: good(i, headers={"crit": ["x"], "x": 1}),
    "cut": lambda i: good(i)[:-5],
    "without signature": lambda i: good(i).rpartition(".")[0] + ".",
    "with other claims put in": lambda i: ".".join((*made(i, OWN).split(".")[:2], good(i).split(".")[2])),
    **{odd: lambda _, odd=odd: odd for odd in ("garbage", "....", "e30.e30.e30.e30.e30")},  # type: ignore[misc]
}


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
    with issuing() as issuer, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
        issuer.keys = []
        for _ in range(20):
            answer = server.post(INITIALIZE, **bearer(issuer.token()))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
            assert answer.json()["error"] == "issuer_unavailable"
        assert issuer.fetches <= 2


TENANT = "0e2f7b8a-1111-4222-8333-944455556666"
API = "5d1c9b7e-aaaa-4bbb-8ccc-9ddddeeeefff"
AT_ENTRA = {"AUDIENCE": API, "SCOPES": "contit.ask", "ADVERTISED_SCOPES": f"{AUDIENCE}/contit.ask"}
AT_CLOUDFLARE = {"CONTIT_MCP_JWT_AUDIENCE": "a" * 64, "CONTIT_MCP_JWT_HEADER": "Cf-Access-Jwt-Assertion"}
VENDORS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    # As each vendor documents the claims of its access tokens; the recipes in docs/deployment.md name the pages.
    "Keycloak": (
        {"CONTIT_MCP_JWT_SCOPES": "contit.ask"},
        {"typ": "Bearer", "azp": "client", "scope": "openid contit.ask", "aud": [AUDIENCE, "account"], "sid": "s", "jti": "j"},
    ),
    "Entra ID, version 2": (
        {f"CONTIT_MCP_JWT_{name}": text for name, text in AT_ENTRA.items()},
        {"aud": API, "scp": "contit.ask", "azp": "client", "azpacr": "0", "ver": "2.0", "tid": TENANT, "aio": "x", "uti": "u"},
    ),
    "Auth0": (
        {"CONTIT_MCP_JWT_SCOPES": "contit:ask"},
        {"sub": "auth0|1", "aud": [AUDIENCE, "https://t.auth0.com/userinfo"], "azp": "client", "scope": "openid contit:ask"},
    ),
    "Cloudflare Access": (
        AT_CLOUDFLARE,
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
    issuer.says(issuer=f"{issuer.url}/" if vendor == "Auth0" else issuer.url)
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
        callers = [(one.settings(), one.token()), (other.settings(), other.token()), (token_mode, secret)]
        threads: list[str] = []
        for turn, (settings, token) in enumerate([*callers, callers[0]]):
            with Served(settings | common) as server:
                asked = server.call("contit_ask", {"prompt": "How many drafts are there?"}, **bearer(token))
                for number, thread in enumerate(threads):
                    found = server.call("contit_response", {"thread_id": thread}, **bearer(token))
                    assert found["isError"] is ((turn, number) != (3, 0))
                threads.append(asked["structuredContent"]["thread_id"])
        assert len(upstream.record.runs) >= 3, "none was joined"
