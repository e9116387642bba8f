"""An issuer's keys over time: rotated, withdrawn, out of reach, or not what they should be. In virtual time."""

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
)
from tests.http.issuer import FIRST, OAUTH, ODD_KEYS, OPENID, SECOND, Issuer, KeyPair, bearer
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Keys age by hours, so this is in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


URL = "https://issuer.example/tenant"
KEYS = f"{URL}/keys"
OPENID_URL = f"{URL}{OPENID}"
SAYS = {"issuer": URL, "jwks_uri": KEYS}


class Web:
    """The issuer's documents by address, and what was asked for."""

    def __init__(self, *keys: Any, pages: Mapping[str, object] | None = None) -> None:
        self.pages: dict[str, object] = {OPENID_URL: SAYS, KEYS: {"keys": keys or [FIRST.public()]}, **(pages or {})}
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
        headers = {"Location": "https://evil.example"}
        return httpx.Response(page.status_code, headers=headers, content=chunks(0, page.content, times=1))

    def tokens(self, **settings: str) -> JwtTokens:
        policy = TransportPolicy(body_bytes=LARGEST_DOCUMENT)
        http = build_http_client("", policy=policy, transport=httpx.MockTransport(self))
        return JwtTokens(load_settings(environment=Issuer(URL).settings(**settings)), http)

    def publish(self, *keys: Any) -> None:
        self.pages[KEYS] = {"keys": list(keys)}


async def chunks(
    pause: float, chunk: bytes, sent: list[int] | None = None, *, times: int = 10**9
) -> AsyncIterator[bytes]:
    for _ in range(times):
        await anyio.sleep(pause)
        if sent is not None:
            sent.append(len(chunk))
        yield chunk


def token(key: Any, key_id: str, algorithm: str = "RS256") -> str:
    claims = Issuer(URL).claims(exp=int(time.time()) + 86_400)
    return jwt.encode(claims, key, algorithm, headers={"kid": key_id})


async def status(found: JwtTokens | Web, given: str) -> int:
    answer = await (found.tokens() if isinstance(found, Web) else found)(Headers(bearer(given)))
    return answer.status if isinstance(answer, Refusal) else 200


OLD, NEW = token(FIRST.private, "first"), token(SECOND.private, "second")


@pytest.fixture
async def known() -> tuple[Web, JwtTokens]:
    web = Web()
    found = web.tokens()
    assert await status(found, OLD) == 200
    return web, found


async def test_a_new_key_is_accepted_at_once_and_the_key_that_it_replaced_is_refused(
    known: tuple[Web, JwtTokens],
) -> None:
    """Issuers publish a key before they sign with it, so there is no gap, even right after another fetch."""
    web, found = known
    web.publish(FIRST.public(), SECOND.public())
    assert [await status(found, given) for given in (NEW, OLD)] == [200, 200]
    web.publish(KeyPair("third").public(), SECOND.public())
    assert await status(found, token(FIRST.private, "third")) == 401
    assert await status(found, OLD) == 401


STALE = [(FRESH_SECONDS, 200), (1, 200), (0.1, 401)]  # it is used while the new ones are fetched


@pytest.mark.parametrize("later", [STALE, [(MAX_AGE_SECONDS + 1, 401)]])
async def test_a_withdrawn_key_is_refused_once_its_copy_was_renewed(known: tuple[Web, JwtTokens], later: Any) -> None:
    """Without a request that names an unknown key; beyond its maximum age at the first request."""
    web, found = known
    web.publish(SECOND.public())
    for pause, expected in later:
        await anyio.sleep(pause)
        assert await status(found, OLD) == expected


async def test_an_issuer_that_is_down_keeps_its_known_keys_until_their_maximum_age(
    known: tuple[Web, JwtTokens],
) -> None:
    """It is asked every RETRY_SECONDS, and no caller with a known key waits for that."""
    web, found = known
    fetched_at = anyio.current_time()
    web.pages[KEYS] = httpx.ConnectError("down")
    await anyio.sleep(FRESH_SECONDS + 1)
    asked = len(web.asked)
    for _ in range(10):
        assert await status(found, OLD) == 200
        await anyio.sleep(0.1)
    assert len(web.asked) - asked == 2
    assert await status(found, NEW) == 503, "it may be a new key"
    while anyio.current_time() - fetched_at < MAX_AGE_SECONDS - RETRY_SECONDS:
        assert await status(found, OLD) == 200
        await anyio.sleep(RETRY_SECONDS)
    await anyio.sleep(2 * RETRY_SECONDS)
    assert await status(found, OLD) == 503
    web.publish(FIRST.public())
    await anyio.sleep(RETRY_SECONDS)
    assert await status(found, OLD) == 200


async def test_an_issuer_that_hangs_delays_no_caller_with_a_known_key(known: tuple[Web, JwtTokens]) -> None:
    """The others wait for FETCH_SECONDS at most, and are told to come back."""
    web, found = known
    web.pages[OPENID_URL] = web.pages[KEYS] = chunks(1.0, b"x")
    await anyio.sleep(FRESH_SECONDS + 1)
    for given, expected, longest in ((OLD, 200, 0), (NEW, 503, FETCH_SECONDS)) * 20:
        began = anyio.current_time()
        assert await status(found, given) == expected
        assert anyio.current_time() - began <= longest


async def test_a_caller_that_leaves_does_not_end_the_fetch_for_the_others() -> None:
    """The first of them starts it."""
    web = Web(pages={KEYS: chunks(2, json.dumps({"keys": [FIRST.public()]}).encode(), times=1)})
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
    httpx.ConnectError("down"), httpx.Response(500), httpx.Response(302), httpx.Response(200, text="<html>"),
    httpx.Response(200, content=b"\xff\xfe"), httpx.Response(200, content=b"[" * 200_000),
    httpx.Response(200, content=json.dumps({"keys": [FIRST.public()], "x": "x" * 300_000}).encode()),
    [], {"keys": []}, {"keys": "all"}, {"keys": ODD_KEYS[-4:]},
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("place", [OPENID_URL, KEYS])
async def test_keys_that_cannot_be_had_are_a_503_until_they_can(broken: object, place: str) -> None:
    """A good token is not called bad meanwhile, and the issuer is not asked again within RETRY_SECONDS."""
    web = Web()
    good, web.pages[place] = web.pages[place], broken
    found = web.tokens()
    assert await status(found, OLD) == 503
    asked = len(web.asked)
    assert await status(found, OLD) == 503
    assert len(web.asked) == asked
    web.pages[place] = good
    await anyio.sleep(RETRY_SECONDS)
    assert await status(found, OLD) == 200
    assert not any("evil" in address for address in web.asked)


@pytest.mark.parametrize(("pause", "chunk"), [(0.0, b"x" * 65_536), (1.0, b"x")])
async def test_a_huge_document_is_not_read_to_its_end_nor_a_slow_one_waited_for(pause: float, chunk: bytes) -> None:
    sent: list[int] = []
    began = anyio.current_time()
    assert await status(Web(pages={KEYS: chunks(pause, chunk, sent)}), OLD) == 503
    assert sum(sent) < 500_000
    assert anyio.current_time() - began <= FETCH_SECONDS


async def test_unknown_keys_cause_a_bounded_number_of_fetches() -> None:
    """Anyone can name keys. A new key is still accepted within REFETCH_SECONDS in the middle of that."""
    web = Web()
    keys = web.tokens().keys
    async with anyio.create_task_group() as tasks:  # those who come together share one fetch
        for number in range(200):
            tasks.start_soon(keys.key, f"unknown-{number}", "RS256")
    assert web.asked == [OPENID_URL, KEYS]

    async def fetches(times: int) -> int:
        before = web.asked.count(KEYS)
        for number in range(times):
            assert await keys.key(f"unknown-{number}", "RS256") is None
        return web.asked.count(KEYS) - before

    assert await fetches(100) == REFETCH_BURST
    began, seen = anyio.current_time(), 0
    while anyio.current_time() - began < 10 * REFETCH_SECONDS:
        await anyio.sleep(1)
        seen += await fetches(5)
    assert seen == 10
    web.publish(SECOND.public())
    with anyio.fail_after(REFETCH_SECONDS + 1):
        while await keys.key("second", "RS256") is None:
            await anyio.sleep(0.5)


FOREIGN = {"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}
OAUTH_URL = f"https://issuer.example{OAUTH}/tenant"
ELSEWHERE = f"https://issuer.example{OPENID}/tenant"
BESIDE: tuple[object, ...] = (None, [], httpx.Response(500), FOREIGN)
METADATA: list[Any] = [
    # For OAuth: alone, beside a page that is something else, an outage, or another issuer's page
    *(({OPENID_URL: page, OAUTH_URL: SAYS}, True) for page in BESIDE),
    ({OPENID_URL: None, ELSEWHERE: SAYS}, True),
    ({OPENID_URL: SAYS | {"issuer": f"{URL}/"}}, True),
    # Another issuer's, and without an address of keys, or with a bad one
    *(({OPENID_URL: page}, False) for page in (FOREIGN, {"issuer": URL})),
    ({OPENID_URL: None, OAUTH_URL: FOREIGN}, False),
    *(({OPENID_URL: SAYS | {"jwks_uri": address}}, False) for address in (
        "http://issuer.example/keys", "file:///etc/passwd")),
]  # fmt: skip


@pytest.mark.parametrize(("pages", "found"), METADATA)
async def test_keys_are_where_the_issuer_itself_says(pages: dict[str, object], found: bool) -> None:
    """OpenID Connect Discovery 1.0, 4.3; RFC 8414, 3.1 and 3.3."""
    web = Web(pages=pages)
    assert await status(web, OLD) == (200 if found else 503)
    assert not any("evil" in address or "passwd" in address for address in web.asked)


@pytest.mark.parametrize("address", [f"{URL}/jwks/", f"{KEYS}?p=policy", "https://keys.example/a"])
async def test_the_address_of_the_keys_is_taken_as_it_is_written(address: str) -> None:
    """A slash at its end and a query belong to it, as Authentik and Azure AD B2C write them (RFC 3986)."""
    page = {address: {"keys": [FIRST.public()]}}
    assert await status(Web(pages={OPENID_URL: SAYS | {"jwks_uri": address}, **page}), OLD) == 200
    web = Web(pages=page)
    assert await status(web.tokens(CONTIT_MCP_JWT_JWKS_URL=address), OLD) == 200
    assert web.asked == [address]


RSA, CURVES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], {"ES256": 256, "ES384": 384, "ES512": 521}
PRIVATES: dict[str, Any] = {
    **{name: ec.generate_private_key(getattr(ec, f"SECP{bits}R1")()) for name, bits in CURVES.items()},
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "RSA": FIRST.private,
}
EDWARDS = ("Ed25519", "Ed448")
# The published key and its `alg`, the key that signs and the token's `alg`, and whether the token passes.
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
    """The curve decides, whatever the key says of itself (RFC 7518, 3.4; RFC 8037, 3.1; RFC 9864, 2.2)."""
    writer: Any = {"RSA": RSAAlgorithm, "Ed25519": OKPAlgorithm, "Ed448": OKPAlgorithm}.get(key, ECAlgorithm)
    more = {"kid": "it"} | ({"alg": named} if named else {})
    published = writer.to_jwk(PRIVATES[key].public_key(), as_dict=True) | more
    given = token(PRIVATES[signer], "it", algorithm)
    assert await status(Web(published, FIRST.public()), given) == (200 if passes else 401)


async def test_an_issuer_with_one_key_may_leave_its_id_out() -> None:
    """RFC 7515, 4.1.4 and RFC 7517, 4.5 make it optional. A token without an id fits no key that has one."""
    bare = {name: value for name, value in FIRST.public().items() if name != "kid"}
    given = jwt.encode(Issuer(URL).claims(), FIRST.private, "RS256")
    assert [await status(web, given) for web in (Web(bare), Web())] == [200, 401]


PRIVATE: dict[str, dict[str, Any]] = {
    "RSA": RSAAlgorithm.to_jwk(FIRST.private, as_dict=True),
    "EC": ECAlgorithm.to_jwk(PRIVATES["ES256"], as_dict=True),
    "OKP": OKPAlgorithm.to_jwk(PRIVATES["Ed25519"], as_dict=True),
    "secret": {"kty": "oct", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"},
    **{f"RSA with {name}": FIRST.public() | {name: "AQAB"} for name in ("d", "p", "q", "dp", "dq", "qi")},
    **{f"RSA with {name}={odd}": FIRST.public() | {name: odd} for name, odd in (("oth", []), ("d", ""), ("d", None))},
}


@pytest.mark.parametrize("case", PRIVATE)
async def test_a_key_with_private_parts_is_refused_and_reported(case: str, logged: StringIO) -> None:
    """Everyone who has read it can sign tokens. The other keys stay in use."""
    published = PRIVATE[case] | {"kid": "leaked"}
    found = Web(published, SECOND.public()).tokens()
    assert await status(found, token(FIRST.private, "leaked")) == 401
    assert await status(found, NEW) == 200
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    said = next(line for line in lines if line["event"] == "jwt.private_key_published")
    assert (said["level"], said["key"]) == ("error", "leaked")
    parts = [value for value in published.values() if isinstance(value, str) and len(value) > 20]
    assert not any(part in logged.getvalue() for part in parts)
    assert await status(Web(published), token(FIRST.private, "leaked")) == 503


async def test_a_weak_key_of_the_issuer_checks_nothing() -> None:
    """Its private half can be computed (RFC 7518, 3.3 wants 2,048 bits)."""
    weak = rsa.generate_private_key(65_537, 1_024)
    published = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"}
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        signed = token(weak, "weak")
    assert await status(Web(published), signed) == 401
