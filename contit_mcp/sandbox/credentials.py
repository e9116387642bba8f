"""Who may ask: API keys, personal access tokens, and tokens fetched with OAuth2 client credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers

    from contit_mcp.sandbox.options import SandboxOptions

_TOKENS_KEPT = 1_000


class Access(Enum):
    """What a request's credential is good for."""

    GRANTED = 200
    UNKNOWN = 401
    FORBIDDEN = 403


@dataclass
class Credentials:
    """The credentials one sandbox knows, and the access tokens it has given out."""

    options: SandboxOptions
    clock: Callable[[], float]
    new_id: Callable[[], str]
    _expiries: dict[str, float] = field(default_factory=dict)

    def access(self, headers: Headers) -> Access:
        """Judge the credential in X-Api-Key or, where that is absent, in Authorization."""
        key = headers.get("x-api-key")
        if key is None:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return Access.UNKNOWN
            if self._expiries.get(key, 0.0) > self.clock():
                return Access.GRANTED
        if key in self.options.api_keys:
            return Access.GRANTED
        return Access.FORBIDDEN if key in self.options.forbidden_keys else Access.UNKNOWN

    def issue(self, client_id: str, client_secret: str) -> str | None:
        """Give out an access token to the known client; None to any other."""
        if (client_id, client_secret) != (self.options.client_id, self.options.client_secret):
            return None
        while len(self._expiries) >= _TOKENS_KEPT:
            del self._expiries[next(iter(self._expiries))]
        token = f"sandbox-token-{self.new_id()}"
        self._expiries[token] = self.clock() + self.options.token_seconds
        return token
