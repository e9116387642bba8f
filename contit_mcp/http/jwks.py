"""An issuer's public keys: fetched from where it says they are, kept, and fetched anew when an unknown one appears."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import structlog
from jwt import PyJWK, PyJWKSet, PyJWTError

from contit_mcp.settings_urls import usable_url

log = structlog.get_logger(__name__)

KEEP_SECONDS = 600.0
"""How long keys are taken as they are; a withdrawn key is unknown after that."""

REFETCH_SECONDS = 30.0
"""At most one fetch in that time, however many unknown key ids or failures there are."""

_LARGEST = 262_144


class KeysUnavailableError(Exception):
    """The issuer's keys could not be had."""


class IssuerKeys:
    """Keys by their ids.

    Args:
        issuer: The issuer's URL.
        http: Client without a credential.
        jwks_url: Where the keys are; None asks the issuer's own metadata.
        clock: Seconds.
    """

    def __init__(
        self,
        issuer: str,
        http: httpx.AsyncClient,
        *,
        jwks_url: str | None = None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._issuer = issuer
        self._http = http
        self._jwks_url = jwks_url
        self._clock = clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = anyio.Lock()

    async def key(self, key_id: str) -> PyJWK | None:
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

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            url = self._jwks_url or await self._discover()
            keys = PyJWKSet.from_dict(await self._json(url)).keys
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError, PyJWTError) as exc:
            log.warning("jwt.keys_unavailable", error=type(exc).__name__, kept=len(self._keys))
            return
        self._keys = {key.key_id: key for key in keys if key.key_id and key.public_key_use in {None, "sig"}}
        self._fetched_at = self._clock()
        log.info("jwt.keys_fetched", keys=len(self._keys))

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
            except (httpx.HTTPError, ValueError):
                if number == len(places):
                    raise
                continue
            if str(metadata["issuer"]).rstrip("/") != self._issuer:
                raise ValueError("the metadata is another issuer's")
            return usable_url(str(metadata["jwks_uri"]))
        raise LookupError

    async def _json(self, url: str) -> dict[str, Any]:
        response = await self._http.get(url, timeout=5.0)
        response.raise_for_status()
        if len(response.content) > _LARGEST:
            raise ValueError("too large")
        found = response.json()
        if not isinstance(found, dict):
            raise TypeError("not an object")
        return found
