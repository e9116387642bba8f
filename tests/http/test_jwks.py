"""An issuer's keys over time: rotated, withdrawn, out of reach, or not what they should be. In virtual time."""

import base64
import io
import json
from collections.abc import AsyncIterator, Callable

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.datastructures import Headers

from contit_mcp.config.sources import load_settings
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.http.auth import JwtTokens
from contit_mcp.http.guard import Refusal
from contit_mcp.http.jwks import (
    FETCH_SECONDS,
    FRESH_SECONDS,
    LARGEST_DOCUMENT,
    MAX_AGE_SECONDS,
    REFETCH_BURST,
    REFETCH_SECONDS,
    RETRY_SECONDS,
    IssuerKeys,
    KeysUnavailableError,
)
from contit_mcp.server.request_state import Caller
from contit_mcp.telemetry.logging import configure_logging
from tests.http.issuer import FIRST, OAUTH, ODD_KEYS, OPENID, SECOND, Issuer, KeyPair, bearer
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Keys age by hours, so this is in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


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

    def tokens(self, **more: str) -> JwtTokens:
        """Mode `jwt` for the tokens of the issuer, as it is on this web."""
        policy = TransportPolicy(body_bytes=LARGEST_DOCUMENT)
        http = build_http_client("", policy=policy, transport=httpx.MockTransport(self))
        return JwtTokens(load_settings(environment=Issuer(URL).settings(**more)), http)

    def keys(self, **more: str) -> IssuerKeys:
        """The keys of the issuer."""
        return self.tokens(**more).keys


async def once(content: bytes) -> AsyncIterator[bytes]:
    """As it comes from a network: to be read once."""
    yield content


def tokens(web: Web) -> JwtTokens:
    """Mode `jwt` for the issuer's tokens."""
    return web.tokens()


def token(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str, algorithm: str = "RS256") -> str:
    """A good token."""
    return jwt.encode(Issuer(URL).claims(), key, algorithm, headers={"kid": key_id})


def signed_by_hand(key: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey, header: dict[str, str]) -> str:
    """A good token with this header; PyJWT does not know the newer names of algorithms."""
    parts = (json.dumps(part).encode() for part in (header, Issuer(URL).claims()))
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (signed + b"." + base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=")).decode()


async def status(found: JwtTokens, given: str) -> int:
    """What a request with this token is answered."""
    answer = await found(Headers(bearer(given)))
    return answer.status if isinstance(answer, Refusal) else 200


async def test_a_new_key_is_accepted_at_once_and_the_key_that_it_replaced_is_refused() -> None:
    """Issuers publish a key before they sign with it, so there is no gap, even right after another fetch."""
    web = Web()
    found = tokens(web)
    old, new = token(FIRST.private, "first"), token(SECOND.private, "second")
    assert await status(found, old) == 200
    web.pages[f"{URL}/keys"] = {"keys": [FIRST.public(), SECOND.public()]}
    assert await status(found, new) == 200
    assert await status(found, old) == 200
    web.pages[f"{URL}/keys"] = {"keys": [KeyPair("third").public(), SECOND.public()]}
    assert await status(found, token(FIRST.private, "third")) == 401
    assert await status(found, old) == 401


async def test_a_withdrawn_key_is_refused_once_its_copy_was_renewed() -> None:
    """Nobody has to name an unknown key for that."""
    web = Web()
    found, given = tokens(web), token(FIRST.private, "first")
    assert await status(found, given) == 200
    web.pages[f"{URL}/keys"] = {"keys": [SECOND.public()]}
    await anyio.sleep(FRESH_SECONDS)
    assert await status(found, given) == 200
    await anyio.sleep(1)
    assert await status(found, given) == 200, "the stale key is used while the new ones are fetched"
    await anyio.sleep(0.1)
    assert await status(found, given) == 401


@pytest.mark.parametrize("idle", [MAX_AGE_SECONDS + 1, 24 * 3_600.0])
async def test_keys_beyond_their_maximum_age_are_not_used(idle: float) -> None:
    """A server without traffic refuses a withdrawn key with its first request."""
    web = Web()
    found, given = tokens(web), token(FIRST.private, "first")
    assert await status(found, given) == 200
    await anyio.sleep(idle)
    assert await status(found, given) == 200
    web.pages[f"{URL}/keys"] = {"keys": [SECOND.public()]}
    await anyio.sleep(idle)
    assert await status(found, given) == 401


async def test_an_issuer_that_is_down_keeps_its_known_keys_until_their_maximum_age() -> None:
    """It is asked every RETRY_SECONDS, and no caller with a known key waits for that."""
    web = Web()
    found, given = tokens(web), token(FIRST.private, "first")
    assert await status(found, given) == 200
    web.pages[f"{URL}/keys"] = httpx.ConnectError("down")
    await anyio.sleep(FRESH_SECONDS + 1)
    asked = len(web.asked)
    for _ in range(10):
        assert await status(found, given) == 200
        await anyio.sleep(0.1)
    assert len(web.asked) - asked == 2
    assert await status(found, token(SECOND.private, "second")) == 503, "it may be a new key"
    while anyio.current_time() - 1_000 < MAX_AGE_SECONDS - RETRY_SECONDS:
        assert await status(found, given) == 200
        await anyio.sleep(RETRY_SECONDS)
    await anyio.sleep(2 * RETRY_SECONDS)
    assert await status(found, given) == 503
    web.pages[f"{URL}/keys"] = {"keys": [FIRST.public()]}
    await anyio.sleep(RETRY_SECONDS)
    assert await status(found, given) == 200


async def test_an_issuer_that_hangs_delays_nobody_with_a_known_key() -> None:
    """The others wait for FETCH_SECONDS at most, and are told to come back."""
    web = Web()
    found, given = tokens(web), token(FIRST.private, "first")
    assert await status(found, given) == 200
    web.pages[f"{URL}{OPENID}"] = web.pages[f"{URL}/keys"] = endless(1.0, b"x")
    await anyio.sleep(FRESH_SECONDS + 1)
    for kid in ("first", "second") * 20:
        began = anyio.current_time()
        known = kid == "first"
        assert await status(found, given if known else token(SECOND.private, kid)) == (200 if known else 503)
        assert anyio.current_time() - began <= (0 if known else FETCH_SECONDS)


async def test_a_caller_that_leaves_does_not_end_the_fetch_for_the_others() -> None:
    """The first of them starts it."""
    web = Web()

    async def slow() -> AsyncIterator[bytes]:
        await anyio.sleep(2)
        yield json.dumps({"keys": [FIRST.public()]}).encode()

    web.pages[f"{URL}/keys"] = slow()
    keys, found = web.keys(), []

    async def wait() -> None:
        found.append(await keys.key("first", "RS256"))

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(1):
            await keys.key("first", "RS256")
        tasks.start_soon(wait)
    assert [key is not None for key in found] == [True]
    assert len(web.asked) == 2


async def endless(pause: float, chunk: bytes, sent: list[int] | None = None) -> AsyncIterator[bytes]:
    """A document without an end."""
    while True:
        await anyio.sleep(pause)
        if sent is not None:
            sent.append(len(chunk))
        yield chunk


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
    assert len(web.asked) == asked, "not asked again within RETRY_SECONDS"
    web.pages[place] = good
    await anyio.sleep(RETRY_SECONDS)
    assert await status(found, given) == 200
    assert not any("evil" in address for address in web.asked)


async def test_a_huge_document_is_not_read_to_its_end_nor_a_slow_one_waited_for() -> None:
    """Callers wait for the documents, and the issuer chooses their size."""
    for pause, chunk in ((0.0, b"x" * 65_536), (1.0, b"x")):
        web, sent = Web(), list[int]()
        web.pages[f"{URL}/keys"] = endless(pause, chunk, sent)
        began = anyio.current_time()
        with pytest.raises(KeysUnavailableError):
            await web.keys().key("first", "RS256")
        assert sum(sent) < 500_000
        assert anyio.current_time() - began <= FETCH_SECONDS


async def test_callers_who_come_together_share_one_fetch() -> None:
    """However many they are, and whatever keys they name."""
    web = Web()
    keys = web.keys()
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(keys.key, f"unknown-{number}", "RS256")
    assert web.asked == [f"{URL}{OPENID}", f"{URL}/keys"]


async def test_unknown_keys_cause_a_bounded_number_of_fetches() -> None:
    """Anyone can name keys. A new key is still accepted within REFETCH_SECONDS in the middle of that."""
    web = Web()
    keys = web.keys()

    async def name_keys(times: int) -> int:
        before = web.asked.count(f"{URL}/keys")
        for number in range(times):
            assert await keys.key(f"unknown-{number}", "RS256") is None
        return web.asked.count(f"{URL}/keys") - before

    assert await name_keys(100) == 1 + REFETCH_BURST
    began, fetches = anyio.current_time(), 0
    while anyio.current_time() - began < 10 * REFETCH_SECONDS:
        await anyio.sleep(1)
        fetches += await name_keys(5)
    assert fetches == 10
    web.pages[f"{URL}/keys"] = {"keys": [SECOND.public()]}
    with anyio.fail_after(REFETCH_SECONDS + 1):
        while await keys.key("second", "RS256") is None:
            await anyio.sleep(0.5)


FOREIGN = {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}
OAUTH_URL = f"https://issuer.example{OAUTH}/tenant"
INSERTED_URL = f"https://issuer.example{OPENID}/tenant"
SAYS = {"issuer": URL, "jwks_uri": f"{URL}/keys"}
METADATA: dict[str, tuple[dict[str, object], bool]] = {
    "OpenID Connect": ({}, True),
    "OAuth alone": ({f"{URL}{OPENID}": None, OAUTH_URL: SAYS}, True),
    "OAuth, beside a page that is something else": ({f"{URL}{OPENID}": [], OAUTH_URL: SAYS}, True),
    "OAuth, beside an outage": ({f"{URL}{OPENID}": httpx.Response(500), OAUTH_URL: SAYS}, True),
    "OAuth, beside another issuer's page": ({f"{URL}{OPENID}": FOREIGN, OAUTH_URL: SAYS}, True),
    "OpenID Connect before the path": ({f"{URL}{OPENID}": None, INSERTED_URL: SAYS}, True),
    "a slash at its end": ({f"{URL}{OPENID}": SAYS | {"issuer": f"{URL}/"}}, True),
    "another issuer's": ({f"{URL}{OPENID}": FOREIGN}, False),
    "another issuer's, for OAuth": ({f"{URL}{OPENID}": None, OAUTH_URL: FOREIGN}, False),
    "no address of keys": ({f"{URL}{OPENID}": {"issuer": URL}}, False),
    "an address without TLS": ({f"{URL}{OPENID}": SAYS | {"jwks_uri": "http://issuer.example/keys"}}, False),
    "no address of the web": ({f"{URL}{OPENID}": SAYS | {"jwks_uri": "file:///etc/passwd"}}, False),
}


@pytest.mark.parametrize("case", METADATA)
async def test_keys_are_where_the_issuer_itself_says(case: str) -> None:
    """OpenID Connect Discovery 1.0, 4.3; RFC 8414, 3.1 and 3.3."""
    pages, found = METADATA[case]
    web = Web(**pages)
    assert await status(tokens(web), token(FIRST.private, "first")) == (200 if found else 503)
    assert not any("evil" in address or "passwd" in address for address in web.asked)


@pytest.mark.parametrize("address", [f"{URL}/jwks/", f"{URL}/keys?p=policy", "https://keys.example/a"])
async def test_the_address_of_the_keys_is_taken_as_it_is_written(address: str) -> None:
    """A slash at its end and a query belong to it, as Authentik and Azure AD B2C write them (RFC 3986)."""
    said = Web(**{f"{URL}{OPENID}": SAYS | {"jwks_uri": address}, address: {"keys": [FIRST.public()]}})
    assert await said.keys().key("first", "RS256")
    configured = Web(**{address: {"keys": [FIRST.public()]}})
    assert await configured.keys(CONTIT_MCP_JWT_JWKS_URL=address).key("first", "RS256")
    assert configured.asked == [address]


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_a_key_without_an_algorithm_is_for_all_of_its_kind(algorithm: str) -> None:
    """`alg` is optional (RFC 7517, 4.4), and issuers leave it out."""
    assert await status(tokens(Web()), token(FIRST.private, "first", algorithm)) == 200


CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@pytest.mark.parametrize("signs", [*CURVES])
@pytest.mark.parametrize("named", ["", *CURVES])
async def test_a_curve_is_for_one_algorithm(signs: str, named: str) -> None:
    """RFC 7518, 3.4: the curve decides, whatever the key says of itself."""
    private = ec.generate_private_key(CURVES[signs])
    published = (
        ECAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "ec"} | ({"alg": named} if named else {})
    )
    found = tokens(Web(**{f"{URL}/keys": {"keys": [published, FIRST.public()]}}))
    assert await status(found, token(private, "ec", signs)) == (200 if named in {"", signs} else 401)
    assert await status(found, token(FIRST.private, "ec")) == 401


@pytest.mark.parametrize("named", [None, "EdDSA", "Ed25519", "Ed448", "RS256"])
@pytest.mark.parametrize("signs", ["EdDSA", "Ed25519", "Ed448"])
@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
async def test_edwards_curves_have_an_old_and_a_new_name(curve: str, signs: str, named: str | None) -> None:
    """RFC 8037, 3.1 has one name for both curves; RFC 9864, 2.2 has one for each."""
    private = (ed25519.Ed25519PrivateKey if curve == "Ed25519" else ed448.Ed448PrivateKey).generate()
    published = (
        OKPAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "ed"} | ({"alg": named} if named else {})
    )
    found = tokens(Web(**{f"{URL}/keys": {"keys": [published, FIRST.public()]}}))
    given = signed_by_hand(private, {"alg": signs, "kid": "ed", "typ": "at+jwt"})
    fits = signs in {"EdDSA", curve} and named in {None, "EdDSA", curve}
    assert await status(found, given) == (200 if fits else 401)


async def test_an_issuer_with_one_key_may_leave_its_id_out() -> None:
    """RFC 7515, 4.1.4 and RFC 7517, 4.5 make it optional. A token without an id fits no key that has one."""
    bare = {name: value for name, value in FIRST.public().items() if name != "kid"}
    given = jwt.encode(Issuer(URL).claims(), FIRST.private, "RS256")
    assert await status(tokens(Web(**{f"{URL}/keys": {"keys": [bare]}})), given) == 200
    assert await status(tokens(Web()), given) == 401


PRIVATE = {
    "RSA": RSAAlgorithm.to_jwk(FIRST.private, as_dict=True),
    "EC": ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True),
    "OKP": OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True),
    "OKP, 448": OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate(), as_dict=True),
    "secret": {"kty": "oct", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"},
    **{f"RSA with {name}": FIRST.public() | {name: "AQAB"} for name in ("d", "p", "q", "dp", "dq", "qi")},
    "RSA with other primes": FIRST.public() | {"oth": []},
    "RSA with an empty part": FIRST.public() | {"d": ""},
    "RSA with a part that is null": FIRST.public() | {"d": None},
}


@pytest.mark.parametrize("case", PRIVATE)
async def test_a_key_with_private_parts_is_refused_and_reported(case: str, request: pytest.FixtureRequest) -> None:
    """Everyone who has read it can sign tokens. The other keys stay in use."""
    published = PRIVATE[case] | {"kid": "leaked"}
    web = Web(**{f"{URL}/keys": {"keys": [published, SECOND.public()]}})
    found = tokens(web)
    request.addfinalizer(configure_logging)
    configure_logging(stream=(stream := io.StringIO()), as_json=True)
    assert await status(found, token(FIRST.private, "leaked")) == 401
    assert await status(found, token(SECOND.private, "second")) == 200
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    said = [line for line in lines if line["event"] == "jwt.private_key_published"]
    assert said
    assert (said[0]["level"], said[0]["key"]) == ("error", "leaked")
    parts = [value for value in published.values() if isinstance(value, str) and len(value) > 20]
    assert parts
    assert not any(part in stream.getvalue() for part in parts)
    web.pages[f"{URL}/keys"] = {"keys": [published]}
    assert await status(tokens(web), token(FIRST.private, "leaked")) == 503


async def test_a_weak_key_of_the_issuer_checks_nothing() -> None:
    """Its private half can be computed (RFC 7518, 3.3 wants 2,048 bits)."""
    weak = rsa.generate_private_key(65_537, 1_024)
    published = jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"}
    found = tokens(Web(**{f"{URL}/keys": {"keys": [published]}}))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        signed = token(weak, "weak")
    assert await status(found, signed) == 401


async def test_the_subject_and_the_issuer_are_the_caller() -> None:
    """A subject is unique within its issuer (RFC 7519, 4.1.2), so both belong to the caller."""
    signed = jwt.encode(Issuer(URL).claims(sub="auth0|ada~ü"), FIRST.private, "RS256", headers={"kid": "first"})
    caller = await tokens(Web())(Headers(bearer(signed)))
    assert isinstance(caller, Caller)
    assert (caller.mode, caller.issuer, caller.principal) == ("jwt", URL, "auth0|ada~ü")
