"""The public keys of an OAuth issuer: discovered, fetched, cached and rotated.

PyJWT's own `PyJWKClient` reads a document of any size, follows redirects, and makes every caller wait for a fetch.
Here documents are bounded, redirects are errors, and cached keys stay in use while one task fetches new ones.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import jwt
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm
from pydantic import TypeAdapter

from contit_mcp.config.values import exact_url
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

FRESH_SECONDS = 300.0  # younger keys are used as they are; older ones too, while new ones are fetched
MAX_AGE_SECONDS = 3_600.0  # a withdrawn key is refused by then, even if the issuer cannot be reached
RETRY_SECONDS = 10  # between fetches while they fail
REFETCH_BURST, REFETCH_SECONDS = 5, 10.0  # fetches for unknown key ids: in a burst, and seconds until one more
DOCUMENT_SECONDS, FETCH_SECONDS = 4.0, 10.0  # for one document, and for a whole fetch of up to four
LARGEST_DOCUMENT = 262_144  # bytes; the client that fetches is built with this limit

ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA", "Ed25519", "Ed448"),
}
"""By type of key (RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864, 2.2). HMAC is left out: its key is a shared secret."""

for _curve in ("Ed25519", "Ed448"):  # newer names of EdDSA
    with contextlib.suppress(ValueError):  # a PyJWT that knows the name already
        jwt.register_algorithm(_curve, OKPAlgorithm())

_DOCUMENT = TypeAdapter(dict[str, Any])
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

# What a fetch raises if the issuer cannot be reached or sends something other than its metadata and keys
FAILURES = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, LookupError, TypeError)


class KeysUnavailableError(Exception):
    """The keys of the issuer are not known well enough to judge a token."""


class IssuerKeys:
    """The cached keys of one issuer. Without `jwks_url` they are at the address in its metadata."""

    def __init__(self, issuer: str, http: httpx.AsyncClient, *, jwks_url: str | None = None) -> None:
        self._issuer = issuer.removesuffix("/")
        self._http = http
        self._jwks_url = jwks_url
        self._keys: Mapping[tuple[str, str], Any] = {}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._refetches_from = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str, algorithm: str) -> Any:
        """Return the key with this id for this algorithm: a known one at once until it reaches its maximum age.

        Return None if the issuer has no such key; raise KeysUnavailableError if the issuer cannot be asked.
        """
        wanted = key_id, algorithm
        known = wanted in self._keys and self._age() <= MAX_AGE_SECONDS
        is_fetching = self._fetching is not None and not self._fetching.done()
        may_fetch = not is_fetching and anyio.current_time() - self._failed_at >= RETRY_SECONDS
        if may_fetch and (self._age() > FRESH_SECONDS or (not known and self._may_refetch())):
            self._fetching = asyncio.create_task(self._fetch())
        if known:
            return self._keys[wanted]
        if self._fetching is not None:
            # A caller that leaves cancels its own wait and not the fetch, which others wait for as well.
            await asyncio.wait({self._fetching})
        if self._age() > MAX_AGE_SECONDS or (wanted not in self._keys and self._failed_at > self._fetched_at):
            raise KeysUnavailableError
        return self._keys.get(wanted)

    async def fetch(self) -> int:
        """Fetch the keys now, and return how many can be used; raise KeysUnavailableError from what went wrong."""
        try:
            with anyio.fail_after(FETCH_SECONDS):
                url = self._jwks_url or exact_url(str((await self.discover()).get("jwks_uri")), query=True)
                self._keys = _usable(await read_json(self._http, url))
        except FAILURES as exc:
            self._failed_at = anyio.current_time()
            raise KeysUnavailableError from exc
        self._fetched_at = anyio.current_time()
        return len({key_id for key_id, _ in self._keys})

    async def discover(self) -> dict[str, Any]:
        """Return the issuer's metadata from the first well-known URL that has it; raise one of FAILURES if none has."""
        path = urlsplit(self._issuer).path
        root = self._issuer.removesuffix(path)
        places = (  # OpenID Connect Discovery 1.0 appends to the path of an issuer, RFC 8414 inserts
            f"{self._issuer}/.well-known/openid-configuration",
            f"{root}/.well-known/oauth-authorization-server{path}",
            f"{root}/.well-known/openid-configuration{path}",
        )
        failures: list[Exception] = []
        for place in dict.fromkeys(places):
            try:
                metadata = await read_json(self._http, place)
            except FAILURES as exc:
                failures.append(exc)
                continue
            if str(metadata.get("issuer")).removesuffix("/") == self._issuer:
                return metadata
            failures.insert(0, ValueError("the metadata belongs to another issuer"))
        raise failures[0]

    def _age(self) -> float:
        return anyio.current_time() - self._fetched_at

    def _may_refetch(self) -> bool:
        """Count one more fetch for an unknown key, if the limit allows it (GCRA)."""
        now = anyio.current_time()
        earliest = max(self._refetches_from, now - REFETCH_BURST * REFETCH_SECONDS) + REFETCH_SECONDS
        if earliest > now:
            return False
        self._refetches_from = earliest
        return True

    async def _fetch(self) -> None:
        try:
            log.info("jwt.keys_fetched", keys=await self.fetch())
        except KeysUnavailableError as exc:
            log.warning("jwt.keys_unavailable", error=type(exc.__cause__).__name__, kept=len(self._keys))


async def read_json(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Return the JSON object at a URL; raise one of FAILURES if there is none."""
    with anyio.fail_after(DOCUMENT_SECONDS):
        response = await http.get(url)
    return _DOCUMENT.validate_json(response.raise_for_status().content)


def _usable(document: Mapping[str, Any]) -> Mapping[tuple[str, str], Any]:
    """Return the keys that verify signatures, by id and algorithm. Others in the document are skipped."""
    keys: dict[tuple[str, str], Any] = {}
    for data in document["keys"]:
        if not isinstance(data, dict) or data.get("use", "sig") != "sig":
            continue
        key_id = data.get("kid", "")  # an issuer with a single key may leave the id out
        if _PRIVATE & data.keys():
            hint = "The issuer publishes the secret part of this key. It is refused; replace it at the issuer."
            log.error("jwt.private_key_published", key=key_id, hint=hint)
            continue
        try:
            algorithms = ALGORITHMS[data["kty"]]
            key = PyJWK(data, "EdDSA" if data["kty"] == "OKP" else None).key
        except Exception:  # noqa: BLE001, S112 - of malformed keys PyJWT and cryptography raise more than they document
            continue
        for algorithm in algorithms:
            if isinstance(key_id, str) and data.get("alg") in (None, algorithm):
                keys.setdefault((key_id, algorithm), key)
    if not keys:
        raise LookupError("no usable key")
    return keys
