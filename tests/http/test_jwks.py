"""An issuer's keys, in virtual time: rotated, withdrawn, unreachable, or unusable."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from io import StringIO
from typing import Any

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.datastructures import Headers

from contit_mcp.config.sources import load_settings
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.http import jwks
from contit_mcp.http.auth import JwtTokens
from contit_mcp.http.guard import Refusal
from tests.http.issuer import FIRST, OAUTH, ODD_KEYS, OPENID, SECOND, Issuer, KeyPair, bearer
from tests.virtual_time import VirtualTimeLoop

virtual_time = pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
pytestmark = [pytest.mark.anyio, virtual_time]

URL = "https://issuer.example/tenant"
KEYS = f"{URL}/keys"
OPENID_URL = f"{URL}{OPENID}"
SAYS = {"issuer": URL, "jwks_uri": KEYS}


class Web:
    """The issuer's documents by URL, and which were asked for. A page is JSON, or bytes, a status or an exception."""

    def __init__(self, *keys: Any, pages: Mapping[str, object] | None = None) -> None:
        self.pages: dict[str, object] = {OPENID_URL: SAYS, KEYS: {"keys": keys or [FIRST.public()]}, **(pages or {})}
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        match self.pages.get(str(request.url), 404):
            case Exception() as error:
                raise error
            case int(status):
                return httpx.Response(status, headers={"Location": "https://evil.example"})
            case bytes() | AsyncIterator() as content:
                return httpx.Response(200, content=content)
            case document:
                return httpx.Response(200, json=document)

    def tokens(self, **settings: str) -> JwtTokens:
        policy = TransportPolicy(body_bytes=jwks.LARGEST_DOCUMENT)
        http = build_http_client("", policy=policy, transport=httpx.MockTransport(self))
        return JwtTokens(load_settings(environment=Issuer(URL).settings(**settings)), http)

    def publish(self, *keys: Any) -> None:
        self.pages[KEYS] = {"keys": list(keys)}


async def slowly(chunk: bytes, pause: float, times: int = 10**9, sent: list[int] | None = None) -> AsyncIterator[bytes]:
    """Yield a chunk many times, after a pause each; note its size in `sent`."""
    for _ in range(times):
        await anyio.sleep(pause)
        if sent is not None:
            sent.append(len(chunk))
        yield chunk


def token(key: Any, key_id: str, algorithm: str = "RS256") -> str:
    claims = Issuer(URL).claims(exp=int(time.time()) + 86_400)
    return jwt.encode(claims, key, algorithm, headers={"kid": key_id})


async def status(tokens: JwtTokens | Web, given: str) -> int:
    """Return the HTTP status of a request with this token."""
    answer = await (tokens.tokens() if isinstance(tokens, Web) else tokens)(Headers(bearer(given)))
    return answer.status if isinstance(answer, Refusal) else 200


OLD, NEW = token(FIRST.private, "first"), token(SECOND.private, "second")


@pytest.fixture
async def known() -> tuple[Web, JwtTokens]:
    """Return an issuer, and a verifier of its tokens that has just fetched its only key."""
    web = Web()
    tokens = web.tokens()
    assert await status(tokens, OLD) == 200
    return web, tokens


async def test_a_new_key_is_accepted_at_once_and_the_replaced_one_is_refused(known: tuple[Web, JwtTokens]) -> None:
    """Also right after another fetch."""
    web, tokens = known
    web.publish(FIRST.public(), SECOND.public())
    assert [await status(tokens, given) for given in (NEW, OLD)] == [200, 200]
    web.publish(KeyPair("third").public(), SECOND.public())
    assert await status(tokens, token(FIRST.private, "third")) == 401
    assert await status(tokens, OLD) == 401


async def test_a_withdrawn_key_is_refused_after_the_next_fetch(known: tuple[Web, JwtTokens]) -> None:
    """The request that starts the fetch is still accepted, unless the keys have reached their maximum age."""
    web, tokens = known
    web.publish(SECOND.public())
    for pause, expected in ((jwks.FRESH_SECONDS, 200), (1, 200), (0.1, 401)):
        await anyio.sleep(pause)
        assert await status(tokens, OLD) == expected
    web.publish(FIRST.public())
    assert await status(tokens, NEW) == 200
    await anyio.sleep(jwks.MAX_AGE_SECONDS + 1)
    assert await status(tokens, NEW) == 401


async def test_while_an_issuer_is_down_its_keys_are_used_until_their_maximum_age(known: tuple[Web, JwtTokens]) -> None:
    """It is asked every RETRY_SECONDS."""
    web, tokens = known
    fetched_at = anyio.current_time()
    web.pages[KEYS] = httpx.ConnectError("down")
    await anyio.sleep(jwks.FRESH_SECONDS + 1)
    asked = len(web.asked)
    for _ in range(10):
        assert await status(tokens, OLD) == 200
        await anyio.sleep(0.1)
    assert len(web.asked) - asked == 2
    assert await status(tokens, NEW) == 503, "it may be a new key"
    while anyio.current_time() - fetched_at < jwks.MAX_AGE_SECONDS - jwks.RETRY_SECONDS:
        assert await status(tokens, OLD) == 200
        await anyio.sleep(jwks.RETRY_SECONDS)
    await anyio.sleep(2 * jwks.RETRY_SECONDS)
    assert await status(tokens, OLD) == 503
    web.publish(FIRST.public())
    await anyio.sleep(jwks.RETRY_SECONDS)
    assert await status(tokens, OLD) == 200


async def test_an_issuer_that_hangs_delays_no_caller_with_a_known_key(known: tuple[Web, JwtTokens]) -> None:
    """Other callers wait for FETCH_SECONDS at most, and get a 503."""
    web, tokens = known
    web.pages[OPENID_URL] = web.pages[KEYS] = slowly(b"x", 1.0)
    await anyio.sleep(jwks.FRESH_SECONDS + 1)
    for given, expected, longest in ((OLD, 200, 0), (NEW, 503, jwks.FETCH_SECONDS)) * 20:
        began = anyio.current_time()
        assert await status(tokens, given) == expected
        assert anyio.current_time() - began <= longest


async def test_a_caller_that_leaves_does_not_end_the_fetch_for_the_others() -> None:
    web = Web(pages={KEYS: slowly(json.dumps({"keys": [FIRST.public()]}).encode(), 2, times=1)})
    keys, found = web.tokens().keys, []

    async def wait() -> None:
        found.append(await keys.key("first", "RS256"))

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(1):
            await keys.key("first", "RS256")
        tasks.start_soon(wait)
    assert [key is not None for key in found] == [True]
    assert len(web.asked) == 2


BROKEN: list[object] = [
    httpx.ConnectError("down"), 500, 302, b"<html>", b"\xff\xfe", b"[" * 200_000,
    {"keys": [FIRST.public()], "x": "x" * 300_000}, [], {"keys": []}, {"keys": "all"}, {"keys": ODD_KEYS[-4:]},
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("place", [OPENID_URL, KEYS])
async def test_without_the_keys_a_token_gets_a_503_until_they_can_be_fetched(broken: object, place: str) -> None:
    """The issuer is not asked again within RETRY_SECONDS."""
    web = Web()
    good, web.pages[place] = web.pages[place], broken
    tokens = web.tokens()
    assert await status(tokens, OLD) == 503
    asked = len(web.asked)
    assert await status(tokens, OLD) == 503
    assert len(web.asked) == asked
    web.pages[place] = good
    await anyio.sleep(jwks.RETRY_SECONDS)
    assert await status(tokens, OLD) == 200
    assert not any("evil" in address for address in web.asked)


@pytest.mark.parametrize(("pause", "chunk"), [(0.0, b"x" * 65_536), (1.0, b"x")])
async def test_a_huge_document_is_not_read_to_its_end_nor_a_slow_one_waited_for(pause: float, chunk: bytes) -> None:
    sent: list[int] = []
    began = anyio.current_time()
    assert await status(Web(pages={KEYS: slowly(chunk, pause, sent=sent)}), OLD) == 503
    assert sum(sent) < 500_000
    assert anyio.current_time() - began <= jwks.FETCH_SECONDS


async def test_unknown_keys_cause_a_bounded_number_of_fetches() -> None:
    """Anyone can name keys. Meanwhile a new key is still accepted within REFETCH_SECONDS."""
    web = Web()
    keys = web.tokens().keys
    async with anyio.create_task_group() as tasks:  # requests at the same time share one fetch
        for number in range(200):
            tasks.start_soon(keys.key, f"unknown-{number}", "RS256")
    assert web.asked == [OPENID_URL, KEYS]

    async def fetches(times: int) -> int:
        before = web.asked.count(KEYS)
        for number in range(times):
            assert await keys.key(f"unknown-{number}", "RS256") is None
        return web.asked.count(KEYS) - before

    assert await fetches(100) == jwks.REFETCH_BURST
    began, seen = anyio.current_time(), 0
    while anyio.current_time() - began < 10 * jwks.REFETCH_SECONDS:
        await anyio.sleep(1)
        seen += await fetches(5)
    assert seen == 10
    web.publish(SECOND.public())
    with anyio.fail_after(jwks.REFETCH_SECONDS + 1):
        while await keys.key("second", "RS256") is None:
            await anyio.sleep(0.5)


FOREIGN = {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}
OAUTH_URL = f"https://issuer.example{OAUTH}/tenant"
BESIDE: tuple[object, ...] = (404, [], 500, FOREIGN)
METADATA: list[Any] = [
    # Found at the OAuth URL, beside a page at the OpenID one that is missing, something else, an outage, or foreign
    *(({OPENID_URL: page, OAUTH_URL: SAYS}, True) for page in BESIDE),
    ({OPENID_URL: 404, f"https://issuer.example{OPENID}/tenant": SAYS}, True),
    ({OPENID_URL: SAYS | {"issuer": f"{URL}/"}}, True),
    # Another issuer's, without an address of keys, or with a bad one
    *(({OPENID_URL: page}, False) for page in (FOREIGN, {"issuer": URL})),
    ({OPENID_URL: 404, OAUTH_URL: FOREIGN}, False),
    *(({OPENID_URL: SAYS | {"jwks_uri": address}}, False) for address in (
        "http://issuer.example/keys", "file:///etc/passwd")),
]  # fmt: skip


@pytest.mark.parametrize(("pages", "found"), METADATA)
async def test_keys_come_only_from_where_the_issuers_own_metadata_says(pages: dict[str, object], found: bool) -> None:
    """OpenID Connect Discovery 1.0, 4.3; RFC 8414, 3.1 and 3.3."""
    web = Web(pages=pages)
    assert await status(web, OLD) == (200 if found else 503)
    assert not any("evil" in address or "passwd" in address for address in web.asked)


@pytest.mark.parametrize("address", [f"{URL}/jwks/", f"{KEYS}?p=policy", "https://keys.example/a"])
async def test_the_address_of_the_keys_is_taken_as_it_is_written(address: str) -> None:
    """With a slash at its end, as Authentik has, or a query, as Azure AD B2C has."""
    page = {address: {"keys": [FIRST.public()]}}
    assert await status(Web(pages={OPENID_URL: SAYS | {"jwks_uri": address}, **page}), OLD) == 200
    web = Web(pages=page)
    assert await status(web.tokens(CONTIT_MCP_JWT_JWKS_URL=address), OLD) == 200
    assert web.asked == [address]


RSA, CURVES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], {"ES256": 256, "ES384": 384, "ES512": 521}
SIGNERS: dict[str, Any] = {
    **{name: ec.generate_private_key(getattr(ec, f"SECP{bits}R1")()) for name, bits in CURVES.items()},
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "RSA": FIRST.private,
}
EDWARDS = ("Ed25519", "Ed448")
# The published key and the `alg` that it names, the key that signs and the token's `alg`, and whether the token passes.
PAIRS = [
    *(("RSA", None, "RSA", algorithm, True) for algorithm in RSA),  # `alg` is optional (RFC 7517, 4.4)
    *((curve, named, curve, curve, named in {None, curve}) for curve in CURVES for named in (None, *CURVES)),
    *((curve, None, "RSA", "RS256", False) for curve in CURVES),
    *((curve, named, curve, alg, True) for curve in EDWARDS for named, alg in (
        (None, "EdDSA"), ("EdDSA", "EdDSA"), (None, curve), (curve, curve))),
    *((curve, "RS256", curve, "EdDSA", False) for curve in EDWARDS),
]  # fmt: skip


@pytest.mark.parametrize(("key", "named", "signer", "algorithm", "passes"), PAIRS)
async def test_a_key_is_for_the_algorithms_of_its_kind(
    key: str, named: str | None, signer: str, algorithm: str, passes: bool
) -> None:
    """RFC 7518, 3.4; RFC 8037, 3.1; RFC 9864, 2.2."""
    writer: Any = {"RSA": RSAAlgorithm, "Ed25519": OKPAlgorithm, "Ed448": OKPAlgorithm}.get(key, ECAlgorithm)
    more = {"kid": "it"} | ({"alg": named} if named else {})
    published = writer.to_jwk(SIGNERS[key].public_key(), as_dict=True) | more
    given = token(SIGNERS[signer], "it", algorithm)
    assert await status(Web(published, FIRST.public()), given) == (200 if passes else 401)


async def test_an_issuer_with_one_key_may_leave_its_id_out() -> None:
    """A token without an id fits no key that has one (RFC 7515, 4.1.4; RFC 7517, 4.5)."""
    bare = {name: value for name, value in FIRST.public().items() if name != "kid"}
    given = jwt.encode(Issuer(URL).claims(), FIRST.private, "RS256")
    assert [await status(web, given) for web in (Web(bare), Web())] == [200, 401]


LEAKED: dict[str, dict[str, Any]] = {
    "RSA": RSAAlgorithm.to_jwk(FIRST.private, as_dict=True),
    "EC": ECAlgorithm.to_jwk(SIGNERS["ES256"], as_dict=True),
    "OKP": OKPAlgorithm.to_jwk(SIGNERS["Ed25519"], as_dict=True),
    "secret": {"kty": "oct", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"},
    **{f"RSA with {name}": FIRST.public() | {name: "AQAB"} for name in ("d", "p", "q", "dp", "dq", "qi")},
    **{f"RSA with {name}={odd}": FIRST.public() | {name: odd} for name, odd in (("oth", []), ("d", ""), ("d", None))},
}


@pytest.mark.parametrize("case", LEAKED)
async def test_a_key_with_private_parts_is_refused_and_reported(case: str, logged: StringIO) -> None:
    """The other keys stay in use."""
    published = LEAKED[case] | {"kid": "leaked"}
    tokens = Web(published, SECOND.public()).tokens()
    assert await status(tokens, token(FIRST.private, "leaked")) == 401
    assert await status(tokens, NEW) == 200
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    said = next(line for line in lines if line["event"] == "jwt.private_key_published")
    assert (said["level"], said["key"]) == ("error", "leaked")
    parts = [value for value in published.values() if isinstance(value, str) and len(value) > 20]
    assert not any(part in logged.getvalue() for part in parts)
    assert await status(Web(published), token(FIRST.private, "leaked")) == 503


async def test_a_token_that_was_signed_with_a_weak_key_is_refused() -> None:
    """RFC 7518, 3.3 demands 2,048 bits."""
    weak = rsa.generate_private_key(65_537, 1_024)
    published = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"}
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        signed = token(weak, "weak")
    assert await status(Web(published), signed) == 401
