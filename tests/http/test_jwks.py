"""An issuer's keys over time: rotated, withdrawn, out of reach, or not what they should be. In virtual time."""

import json
from collections.abc import AsyncIterator, Callable

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from starlette.datastructures import Headers
from starlette.responses import Response

from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.http.authentication import Authentication
from contit_mcp.http.jwks import (
    DOCUMENT_BYTES,
    FETCH_SECONDS,
    KEEP_SECONDS,
    REFETCH_SECONDS,
    IssuerKeys,
    KeysUnavailableError,
)
from contit_mcp.http.jwt_tokens import JwtTokens
from contit_mcp.server.request_state import Caller
from tests.http.issuer import AUDIENCE, FIRST, OAUTH, ODD_KEYS, OPENID, SECOND, Issuer, bearer

pytestmark = pytest.mark.anyio

URL = "https://issuer.example/tenant"
Reply = Callable[[httpx.Request], httpx.Response]


class Web:
    """The issuer's documents by address, and what was asked for."""

    def __init__(self, **pages: object) -> None:
        self.pages: dict[str, object] = {
            f"{URL}{OPENID}": {"issuer": URL, "jwks_uri": f"{URL}/keys"},
            f"{URL}/keys": {"keys": [FIRST.public()]},
        } | pages
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        page = self.pages.get(str(request.url))
        if isinstance(page, Exception):
            raise page
        if isinstance(page, AsyncIterator):
            return httpx.Response(200, content=page)
        if not isinstance(page, httpx.Response):
            page = httpx.Response(404) if page is None else httpx.Response(200, content=json.dumps(page))
        return httpx.Response(
            page.status_code, headers={"Location": "https://evil.example"}, content=once(page.content)
        )

    def keys(self, issuer: str = URL, **more: str) -> IssuerKeys:
        """The keys of the issuer, as it is on this web."""
        policy = TransportPolicy(body_bytes=DOCUMENT_BYTES)
        http = build_http_client("", policy=policy, transport=httpx.MockTransport(self))
        return IssuerKeys(issuer, http, **more)  # type: ignore[arg-type]


async def once(content: bytes) -> AsyncIterator[bytes]:
    """As it comes from a network: to be read once."""
    yield content


def tokens(web: Web, **more: str) -> JwtTokens:
    """What takes the issuer's tokens."""
    return JwtTokens(web.keys(**more), issuer=URL, audience=AUDIENCE, scopes=(), metadata_url="https://x.example")


def token(key: rsa.RSAPrivateKey, key_id: str, algorithm: str = "RS256") -> str:
    """A good token."""
    return jwt.encode(Issuer(URL).claims(), key, algorithm, headers={"kid": key_id})


async def status(found: JwtTokens, given: str) -> int:
    """What a request with this token is answered."""
    behind = httpx.ASGITransport(Authentication(Response(), found))
    async with httpx.AsyncClient(transport=behind, base_url="http://localhost") as client:
        return (await client.get("/mcp", headers=bearer(given))).status_code


async def test_a_new_key_is_known_after_a_refetch_and_a_withdrawn_one_unknown_after_a_while() -> None:
    """Our choice; the issuer signs with a new key as soon as it has published it."""
    web = Web()
    found = tokens(web)
    old, new = token(FIRST.private, "first"), token(SECOND.private, "second")
    assert await status(found, old) == 200
    web.pages[f"{URL}/keys"] = {"keys": [SECOND.public()]}
    assert await status(found, new) == 401, "within REFETCH_SECONDS"
    assert await status(found, old) == 200
    await anyio.sleep(REFETCH_SECONDS)
    assert await status(found, new) == 200
    assert await status(found, old) == 401
    web.pages[f"{URL}/keys"] = {"keys": [FIRST.public()]}
    await anyio.sleep(KEEP_SECONDS)
    assert await status(found, new) == 200
    await anyio.sleep(1)
    assert await status(found, new) == 401, "withdrawn, though nobody named an unknown key"


async def test_an_issuer_that_goes_away_does_not_take_its_known_keys_along() -> None:
    """Its outage is not ours; it is asked once in a while until it is back."""
    web = Web()
    found = tokens(web)
    assert await status(found, token(FIRST.private, "first")) == 200
    web.pages[f"{URL}/keys"] = httpx.ConnectError("down")
    await anyio.sleep(KEEP_SECONDS + 1)
    asked = len(web.asked)
    for _ in range(10):
        assert await status(found, token(FIRST.private, "first")) == 200
    assert len(web.asked) - asked == 2
    web.pages[f"{URL}/keys"] = {"keys": [SECOND.public()]}
    await anyio.sleep(REFETCH_SECONDS)
    assert await status(found, token(FIRST.private, "first")) == 401


BROKEN: dict[str, object] = {
    "down": httpx.ConnectError("down"),
    "an error": httpx.Response(500),
    "no JSON": httpx.Response(200, text="<html>"),
    "other bytes": httpx.Response(200, content=b"\xff\xfe"),
    "deep JSON": httpx.Response(200, content=b"[" * 200_000),
    "a list": [],
    "no keys": {"keys": []},
    "keys that are none": {"keys": "all"},
    "none of use": {"keys": ODD_KEYS[-4:]},
    "huge": httpx.Response(200, content=json.dumps({"keys": [FIRST.public()], "x": "x" * 300_000}).encode()),
    "a redirect": httpx.Response(302),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("place", [f"{URL}{OPENID}", f"{URL}/keys"])
async def test_keys_that_cannot_be_had_are_a_503_until_they_can(case: str, place: str) -> None:
    """A good token is not called bad meanwhile."""
    web = Web()
    good, web.pages[place] = web.pages[place], BROKEN[case]
    found = tokens(web)
    given = token(FIRST.private, "first")
    assert await status(found, given) == 503
    asked = len(web.asked)
    assert await status(found, given) == 503
    assert len(web.asked) == asked, "not asked again within REFETCH_SECONDS"
    web.pages[place] = good
    await anyio.sleep(REFETCH_SECONDS)
    assert await status(found, given) == 200
    assert not any("evil" in address for address in web.asked)


async def test_a_huge_answer_is_not_read_to_its_end_nor_a_slow_one_waited_for() -> None:
    """Its callers wait for it, and its size is its own choice."""
    sent = 0

    async def endless(pause: float, chunk: bytes) -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            await anyio.sleep(pause)
            sent += len(chunk)
            yield chunk

    for pause, chunk in ((0.0, b"x" * 65_536), (1.0, b"x")):
        web, sent = Web(), 0
        web.pages[f"{URL}/keys"] = endless(pause, chunk)
        began = anyio.current_time()
        with pytest.raises(KeysUnavailableError):
            await web.keys().key("first")
        assert sent < 500_000
        assert anyio.current_time() - began <= FETCH_SECONDS


async def test_callers_who_come_together_share_one_fetch() -> None:
    """However many."""
    web = Web()
    keys = web.keys()
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(keys.key, f"unknown-{number}")
    assert web.asked == [f"{URL}{OPENID}", f"{URL}/keys"]


FOREIGN = {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}
OAUTH_URL = f"https://issuer.example{OAUTH}/tenant"
SAYS = {"issuer": URL, "jwks_uri": f"{URL}/keys"}
METADATA: dict[str, tuple[dict[str, object], bool]] = {
    "OpenID Connect": ({}, True),
    "OAuth alone": ({f"{URL}{OPENID}": None, OAUTH_URL: SAYS}, True),
    "OAuth, beside a page that is none": ({f"{URL}{OPENID}": [], OAUTH_URL: SAYS}, True),
    "a slash at its end": ({f"{URL}{OPENID}": SAYS | {"issuer": f"{URL}/"}}, True),
    "another issuer's": ({f"{URL}{OPENID}": FOREIGN}, False),
    "another issuer's, for OAuth": ({f"{URL}{OPENID}": None, OAUTH_URL: FOREIGN}, False),
    "no address of keys": ({f"{URL}{OPENID}": {"issuer": URL}}, False),
    "an address without TLS": ({f"{URL}{OPENID}": SAYS | {"jwks_uri": "http://issuer.example/keys"}}, False),
    "no address of the web": ({f"{URL}{OPENID}": SAYS | {"jwks_uri": "file:///etc/passwd"}}, False),
}


@pytest.mark.parametrize("case", METADATA)
async def test_keys_are_where_the_issuer_itself_says(case: str) -> None:
    """Documented: OpenID Connect Discovery 1.0, 4.3; RFC 8414, 3.1 and 3.3."""
    pages, found = METADATA[case]
    web = Web(**pages)
    assert await status(tokens(web), token(FIRST.private, "first")) == (200 if found else 503)
    assert not any("evil" in address or "passwd" in address for address in web.asked)


@pytest.mark.parametrize("address", [f"{URL}/jwks/", f"{URL}/keys?p=policy", "https://keys.example/a"])
async def test_the_address_of_the_keys_is_taken_as_it_is_written(address: str) -> None:
    """A slash at its end and a query belong to it, as Authentik and Azure AD B2C write them (documented: RFC 3986)."""
    said = Web(**{f"{URL}{OPENID}": SAYS | {"jwks_uri": address}, address: {"keys": [FIRST.public()]}})
    assert await said.keys().key("first")
    configured = Web(**{address: {"keys": [FIRST.public()]}})
    assert await configured.keys(jwks_url=address).key("first")
    assert configured.asked == [address]


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_a_key_without_an_algorithm_is_for_all_of_its_kind(algorithm: str) -> None:
    """`alg` is optional (documented: RFC 7517, 4.4), and issuers leave it out."""
    assert await status(tokens(Web()), token(FIRST.private, "first", algorithm)) == 200


async def test_keys_of_each_kind_are_understood() -> None:
    """Documented: RFC 7518, 3.4; RFC 8037, 3.1."""
    curve, edwards = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    published = [
        {**ECAlgorithm.to_jwk(curve.public_key(), as_dict=True), "kid": "ec"},
        {**OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "ed"},
    ]
    found = tokens(Web(**{f"{URL}/keys": {"keys": published}}))
    assert await status(found, token(curve, "ec", "ES384")) == 200  # type: ignore[arg-type]
    assert await status(found, token(edwards, "ed", "EdDSA")) == 200  # type: ignore[arg-type]
    assert await status(found, token(FIRST.private, "ec")) == 401


async def test_a_weak_key_of_the_issuer_checks_nothing() -> None:
    """Its private half can be computed (documented: RFC 7518, 3.3 wants 2,048 bits)."""
    weak = rsa.generate_private_key(65_537, 1_024)
    published = jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"}
    found = tokens(Web(**{f"{URL}/keys": {"keys": [published]}}))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        signed = token(weak, "weak")
    assert await status(found, signed) == 401


async def test_the_subject_is_the_caller_whoever_it_is() -> None:
    """Of one issuer a subject is one caller (documented: RFC 7519, 4.1.2)."""
    signed = jwt.encode(Issuer(URL).claims(sub="auth0|ada~ü"), FIRST.private, "RS256", headers={"kid": "first"})
    caller = await tokens(Web())(Headers(bearer(signed)))
    assert isinstance(caller, Caller)
    assert caller.principal == "auth0|ada~ü"
