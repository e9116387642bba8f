"""Mode `jwt`: which tokens pass, and what a client is told if its token does not."""

import base64
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
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contit_mcp.sandbox.options import SandboxOptions
from tests.children import INITIALIZE, Contit, Served, contit, rpc
from tests.http.issuer import AUDIENCE, FIRST, LEAKED_KEYS, SECOND, Issuer, KeyPair, bearer, issuing

METADATA_PATHS = ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource")
METADATA_URL = "https://assistant.example" + METADATA_PATHS[0]
ADVICE = f'scope="api://contit/ask api://contit/read", resource_metadata="{METADATA_URL}"'
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
    """Yield a server that requires two scopes, which clients request by other names."""
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


def signed(issuer: Issuer, key: Any, algorithm: str, key_id: str) -> str:
    return jwt.encode(issuer.claims(scope="ask contit"), key, algorithm, headers={"kid": key_id})


def made(issuer: Issuer, header: Any, sign: Callable[[bytes], bytes] = lambda _: b"signature") -> str:
    """Return a token with good claims, and a header and signature of the attacker's choice."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    text = f"{encode(head)}.{encode(json.dumps(issuer.claims(scope='ask contit')).encode())}"
    return f"{text}.{encode(sign(text.encode()))}"


def hmac_by(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda text: hmac.digest(secret, text, "sha256")


PEM = FIRST.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OWN, SECRET = {"alg": "RS256", "kid": "first"}, {"alg": "HS256", "kid": "first"}
CLAIMS: dict[str, tuple[Any, ...]] = {  # by claim, the values for which a token is refused
    "exp": (NOW - 60, None, "tomorrow", float("inf")),
    "nbf": (NOW + 3_600,),
    "iat": (NOW + 3_600,),
    "aud": ("https://other.example/mcp", AUDIENCE + "x", None, AUDIENCE + "//", AUDIENCE.removesuffix("/mcp")),
    "iss": ("https://other.example", None),
    "sub": (None, " ", 7, "\ud800"),
    # ID tokens, tokens of Keycloak and Cognito that are no access tokens, and log-out tokens
    **dict.fromkeys(("nonce", "at_hash", "c_hash", "s_hash"), ("x",)),
    "typ": ("ID", "Refresh", "Offline", "Logout", 7),
    "token_use": ("id",),
    "events": ({"http://schemas.openid.net/event/backchannel-logout": {}},),
    "cnf": ({}, *({name: "x" * 43} for name in ("jkt", "x5t#S256", "kid", "jwk"))),  # bound to a key of the client
}
TYPES: tuple[object, ...] = (  # of tokens that are no access tokens
    "logout+jwt", "dpop+jwt", "application/dpop+jwt", "LOGOUT+JWT", "secevent+jwt", "token-introspection+jwt", "rt+jwt",
    "id_token+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+sd-jwt", "kb+jwt", "oauth-id-jag+jwt", "JWE",
    "at+jwt; x", "at+", 7,
)  # fmt: skip
HEADERS: tuple[object, ...] = (  # malformed, or without a key's id or an algorithm
    *(OWN | {"kid": odd} for odd in (1, ["first"], "k" * 4_000)), {"alg": "RS256"}, {"kid": "first"},
    OWN | {"alg": ["RS256"]}, b"[" * 4_000, [1], b"\xff\xfe",
)  # fmt: skip
REFUSED: dict[str, Callable[[Issuer], str]] = {
    **{f"{name} {n}": partial(good, **{name: odd}) for name, found in CLAIMS.items() for n, odd in enumerate(found)},
    **{f"of type {kind}": partial(good, headers={"typ": kind}) for kind in TYPES},
    **{f"with the header {header!r:.40}": partial(made, header=header) for header in HEADERS},
    "of an issuer that begins alike": lambda i: good(i, iss=f"{i.url}.evil.example"),
    "of an issuer with two slashes": lambda i: good(i, iss=f"{i.url}//"),
    "of type at+jwt, bound to its client": lambda i: good(i, headers={"typ": "at+jwt"}, cnf={"jkt": "x"}),
    "of Keycloak for the client itself": lambda i: good(i, typ="ID", nonce="n", at_hash="h", azp="web"),
    "unsigned": lambda i: made(i, {"alg": "none", "kid": "first"}, lambda _: b""),
    "unsigned, spelt otherwise": lambda i: made(i, {"alg": "nOnE", "kid": "first"}, lambda _: b""),
    "signed with the public key as a secret": lambda i: made(i, SECRET, hmac_by(PEM)),
    "signed with a published secret": lambda i: made(i, {"alg": "HS256", "kid": "secret"}, hmac_by(b"k" * 32)),
    "signed with another key": lambda i: good(i, key=KeyPair("first")),
    "signed with a key for encryption": lambda i: good(i, key=KeyPair("encrypts")),
    "signed with a published private key": lambda i: good(i, key=KeyPair("leaked", SECOND.private)),
    "with another algorithm than its key's": lambda i: signed(i, SECOND.private, "PS256", "fixed"),
    "of elliptic curves under an RSA key's id": lambda i: signed(i, EC_KEY, "ES256", "first"),
    "with its own key in the header": lambda i: good(i, key=SECOND, headers={"kid": "first", "jwk": SECOND.public()}),
    "with an address of its key": lambda i: good(i, key=SECOND, headers={"kid": "x", "jku": f"{i.url}/evil"}),
    "with an address of its certificate": lambda i: good(i, key=SECOND, headers={"kid": "x", "x5u": f"{i.url}/evil"}),
    "with a file as its key's id": lambda i: made(i, OWN | {"kid": "../../../dev/null"}, hmac_by(b"")),
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
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert len(answer.content) < 250
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", {ADVICE}'
    assert "/evil" not in issuer.asked
    assert issuer.fetches - fetches <= 1
    server.assert_unharmed()
    assert token[-20:] not in server.stderr or len(token) < 20


def test_without_a_token_the_challenge_says_where_to_get_one(server: Served, issuer: Issuer) -> None:
    """It names no error (RFC 6750, 3; RFC 9728, 5.1 and 3.2). Pages of every origin can read the metadata."""
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": f"DPoP {good(issuer)}"}):
        answer = server.post(INITIALIZE, **headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, f"Bearer {ADVICE}")
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


@pytest.mark.parametrize(("scopes", "advertised"), [("", "openid"), ("c.ask,c.read", "c.ask c.read")])
def test_scopes_are_always_advertised(issuer: Issuer, scopes: str, advertised: str) -> None:
    """Some issuers grant nothing to a client that requests no scope."""
    below = "/.well-known/oauth-protected-resource/team/contit"
    given = {"CONTIT_MCP_JWT_SCOPES": scopes, "CONTIT_MCP_PUBLIC_URL": "https://assistant.example/team/contit"}
    with Served(issuer.settings(**given)) as server:
        for path in (*METADATA_PATHS, below):
            assert server.http.get(server.base + path).json()["scopes_supported"] == advertised.split()
        challenge = server.post(INITIALIZE).headers["www-authenticate"]
    assert f'scope="{advertised}"' in challenge
    assert f'resource_metadata="https://assistant.example{below}"' in challenge


GRANTED: list[dict[str, Any]] = [
    {"scope": "ask contit"}, {"scope": ["contit", "ask", "more"]}, {"scope": None, "scp": ["ask", "contit"]},
    {"scope": None, "scp": "contit ask"}, {"aud": ["https://other.example", AUDIENCE]}, {"aud": f"{AUDIENCE}/"},
    {"aud": ["https://other.example", f"{AUDIENCE}/"]}, {"cnf": None, "nonce": None}, {"exp": NOW + 3_600, "nbf": NOW},
    {"typ": "Bearer", "nonce": "n"}, {"token_use": "access"}, {"scope": "ask", "scp": ["contit"]},
    *({"headers": {"typ": kind}} for kind in (
        "at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", "application/jwt", None,
    )),
]  # fmt: skip
LACKING = [None, "", "ask", "contit", "contitask", "Contit Ask", "contit,ask", ["ask"], 7, {"contit": 1}, [["contit"]]]


@pytest.mark.parametrize("claims", GRANTED)
def test_a_good_token_passes(server: Served, issuer: Issuer, claims: dict[str, Any]) -> None:
    """With scopes, types and audiences as RFC 9068 and RFC 7519 write them, or as common issuers do."""
    assert server.post(rpc("ping"), **bearer(good(issuer, sub="grace", **claims))).status_code == 200
    assert server.last("http.request", caller="grace")["status"] == 200


@pytest.mark.parametrize("scope", LACKING)
def test_without_all_scopes_the_challenge_names_those_to_request(server: Served, issuer: Issuer, scope: object) -> None:
    """RFC 6750, 3.1; MCP authorization, "Scope Challenge Handling"."""
    answer = server.post(INITIALIZE, **bearer(good(issuer, scope=scope)))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", {ADVICE}'


def test_without_the_issuers_keys_a_server_starts_and_a_token_gets_a_503(upstream: Contit) -> None:
    """After a 401, the client would throw a good token away."""
    with issuing() as issuer, Served(issuer.settings(CONTIT_BASE_URL=upstream.url)) as server:
        issuer.keys = []
        for _ in range(20):
            answer = server.post(INITIALIZE, **bearer(issuer.token()))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
            assert answer.json()["error"] == "issuer_unavailable"
        assert issuer.fetches <= 2


# Settings without CONTIT_MCP_JWT_, and claims as vendors document them: docs/deployment.md names the pages.
VENDORS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "Keycloak": (
        {"SCOPES": "contit.ask"},
        {"typ": "Bearer", "azp": "client", "scope": "openid contit.ask", "aud": [AUDIENCE, "account"], "sid": "s"},
    ),
    "Entra ID, version 2": (
        {"AUDIENCE": "5d1c9b7e-aaaa-4bbb", "SCOPES": "contit.ask", "ADVERTISED_SCOPES": f"{AUDIENCE}/contit.ask"},
        {"aud": "5d1c9b7e-aaaa-4bbb", "scp": "contit.ask", "azp": "client", "azpacr": "0", "ver": "2.0", "tid": "t"},
    ),
    "Auth0": (
        {"SCOPES": "contit:ask"},
        {"sub": "auth0|1", "aud": [AUDIENCE, "https://t.auth0.com/x"], "azp": "client", "scope": "openid contit:ask"},
    ),
    "Cloudflare Access": (
        {"AUDIENCE": "a" * 64, "HEADER": "Cf-Access-Jwt-Assertion"},
        {"aud": ["a" * 64], "email": "ada@example.com", "nbf": NOW, "type": "app", "identity_nonce": "n"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_tokens_as_vendors_document_them_pass_with_the_settings_of_their_recipes(issuer: Issuer, vendor: str) -> None:
    settings, claims = VENDORS[vendor]
    issuer.keys = [FIRST.public()]
    issuer.says(issuer=f"{issuer.url}/" if vendor == "Auth0" else issuer.url)
    header = settings.get("HEADER", "Authorization")
    scheme = "" if "HEADER" in settings else "Bearer "
    with Served(issuer.settings(**{f"CONTIT_MCP_JWT_{name}": text for name, text in settings.items()})) as server:
        for more, expected in (({}, 200), ({"sub": ""}, 401)):
            given = {header: scheme + issuer.token(**{**claims, **more})}
            assert server.post(rpc("ping"), **given).status_code == expected
        if "HEADER" in settings:
            assert server.post(rpc("ping"), **bearer(issuer.token(**claims))).status_code == 401


def test_equal_names_of_two_issuers_and_of_a_token_are_different_callers(tmp_path: Path) -> None:
    """On one store, with one seal key: `sub` is unique only within its issuer (RFC 7519, 4.1.2)."""
    secret = "token-of-ada-with-twenty-characters"
    with issuing() as one, issuing() as other, contit(SandboxOptions(run_seconds=600)) as upstream:
        common = {"CONTIT_BASE_URL": upstream.url, "CONTIT_MCP_STORE": f"sqlite:{tmp_path / 'runs.sqlite3'}"}
        token_mode = one.settings(CONTIT_MCP_AUTH="token", CONTIT_MCP_TOKENS=f"ada:{secret}")
        ada = (one.settings(), one.token())
        other_key = token_mode | {"CONTIT_MCP_SEAL_KEY": "t" * 32}
        callers = [ada, (other.settings(), other.token()), (token_mode, secret), (other_key, secret), ada]
        threads: list[str] = []
        for number, (settings, token) in enumerate(callers):
            with Served(settings | common) as server:
                asked = server.call("contit_start", {"prompt": "Any drafts?"}, **bearer(token))
                ids = ({"thread_id": each, "wait_seconds": 0} for each in threads)
                found = [server.call("contit_response", each, **bearer(token)) for each in ids]
                assert [each["isError"] for each in found] == [each is not callers[number] for each in callers[:number]]
                threads.append(asked["structuredContent"]["thread_id"])
        assert len(upstream.record.runs) == 4, "only the first caller's second question joined its run"
