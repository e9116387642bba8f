"""An issuer's public keys: fetched from where it says they are, kept, and fetched anew when an unknown one appears."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from jwt import InvalidAlgorithmError, PyJWK

from contit_mcp.config.settings_urls import exact_url
from contit_mcp.telemetry.logging import get_logger

log = get_logger(__name__)

KEEP_SECONDS = 600.0
"""How long keys are taken as they are; a withdrawn key is unknown after that."""

REFETCH_SECONDS = 30.0
"""At most one fetch in that time, however many unknown key ids or failures there are."""

FETCH_SECONDS = 5.0
"""For each document of the issuer, however slowly its bytes come: callers wait for it."""

_LARGEST = 262_144
_KINDS = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
"""What key pairs are good for. A shared secret has no place among public keys."""


class KeysUnavailableError(Exception):
    """The issuer's keys could not be had."""


class IssuerKey:
    """One of its keys.

    Args:
        data: The key as the issuer publishes it (RFC 7517).

    Raises:
        ValueError: It is no public key for signatures, or has no id.
    """

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict) or not isinstance(data.get("kid"), str) or data.get("use", "sig") != "sig":
            raise ValueError("not a key with an id, for signatures")
        if not isinstance(data.get("kty"), str) or data["kty"] not in _KINDS:
            raise ValueError("not a public key")
        self.key_id: str = data["kid"]
        self._data = data
        self._made: dict[str, PyJWK] = {}

    def made_for(self, algorithm: str) -> PyJWK:
        """The key for one algorithm. Where the issuer names none (it need not), each of the key's kind.

        Raises:
            PyJWTError: It is not for this algorithm.
        """
        if algorithm not in self._made:
            said = self._data.get("alg") or algorithm
            if said != algorithm or not algorithm.startswith(_KINDS[self._data["kty"]]):
                raise InvalidAlgorithmError
            self._made[algorithm] = PyJWK(self._data, algorithm)
        return self._made[algorithm]


class IssuerKeys:
    """Keys by their ids.

    Args:
        issuer: The issuer's URL.
        http: Client without a credential.
        jwks_url: Where the keys are; None asks the issuer's own metadata.
        clock: Seconds.
        seconds: For each document.
    """

    def __init__(
        self,
        issuer: str,
        http: httpx.AsyncClient,
        *,
        jwks_url: str | None = None,
        clock: Callable[[], float] = anyio.current_time,
        seconds: float = FETCH_SECONDS,
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._seconds = seconds
        self._http = http
        self._jwks_url = jwks_url
        self._clock = clock
        self._keys: Mapping[str, IssuerKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = anyio.Lock()

    async def key(self, key_id: str) -> IssuerKey | None:
        """The key, or None when the issuer has no such key.

        Raises:
            KeysUnavailableError: No keys were ever had, and none can be had now.
        """
        found = self._keys.get(key_id)
        if found is not None and not self._is_stale():
            return found
        async with self._fetching:
            if (self._is_stale() or key_id not in self._keys) and self._may_fetch():
                await self._fetch()
        if self._fetched_at is None:
            raise KeysUnavailableError
        return self._keys.get(key_id)

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at > KEEP_SECONDS

    def _may_fetch(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= REFETCH_SECONDS

    async def fetch(self) -> int:
        """Fetch them now; how many of them are of use.

        Raises:
            KeysUnavailableError: They cannot be had; its cause says why.
        """
        self._tried_at = self._clock()
        try:
            url = self._jwks_url or await self._discover()
            self._keys = _usable(await self._json(url))
        except _FAILURES as exc:
            raise KeysUnavailableError from exc
        self._fetched_at = self._clock()
        return len(self._keys)

    async def _fetch(self) -> None:
        try:
            log.info("jwt.keys_fetched", keys=await self.fetch())
        except KeysUnavailableError as exc:
            log.warning("jwt.keys_unavailable", error=type(exc.__cause__).__name__, kept=len(self._keys))

    async def _discover(self) -> str:
        """Where the issuer says its keys are (OpenID Connect Discovery 1.0; RFC 8414)."""
        parts = urlsplit(self._issuer)
        root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        places = (
            f"{self._issuer}/.well-known/openid-configuration",
            f"{root}/.well-known/oauth-authorization-server{path}",
        )
        for number, place in enumerate(places, start=1):
            try:
                metadata = await self._json(place)
            except _FAILURES:
                if number == len(places):
                    raise
                continue
            if str(metadata["issuer"]).rstrip("/") != self._issuer:
                raise ValueError("the metadata is another issuer's")
            return exact_url(str(metadata["jwks_uri"]), query=True)
        raise LookupError

    async def _json(self, url: str) -> dict[str, Any]:
        body = bytearray()
        with anyio.fail_after(self._seconds):
            # Unpacked, a small answer could be a huge one.
            async with self._http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                response.raise_for_status()
                async for chunk in response.aiter_raw(65_536):
                    body += chunk
                    if len(body) > _LARGEST:
                        raise ValueError("too large")
        found = json.loads(body)
        if not isinstance(found, dict):
            raise TypeError("not an object")
        return found


_FAILURES = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, LookupError, TypeError, RecursionError)


def _usable(document: dict[str, Any]) -> dict[str, IssuerKey]:
    """The keys that are of use here; what else the issuer publishes does not spoil them."""
    keys: dict[str, IssuerKey] = {}
    for data in document["keys"]:
        with suppress(ValueError):
            key = IssuerKey(data)
            keys.setdefault(key.key_id, key)
    if not keys:
        raise LookupError("no usable key")
    return keys
