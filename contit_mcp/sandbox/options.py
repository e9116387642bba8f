"""How one sandbox behaves, and which credentials it accepts."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers

from contit_mcp.sandbox.faults import Fault

_TOKENS_KEPT: Final = 1_000


@dataclass(frozen=True)
class SandboxOptions:
    """How one sandbox behaves. The defaults suit trying things out by hand."""

    run_seconds: float = 1.5
    """How long each run takes, in seconds of the sandbox's clock."""
    api_keys: frozenset[str] = frozenset({"sandbox-key"})
    """Accepted in the header X-Api-Key and, as personal access tokens are, as a Bearer token."""
    forbidden_keys: frozenset[str] = frozenset({"sandbox-forbidden"})
    """Known keys without the ReadAccess policy: they are answered 403."""
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"
    """The one OAuth2 client that may fetch tokens."""
    token_seconds: float = 3600
    """How long a fetched access token is valid."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong, in order."""
    requests_kept: int = 50_000
    """How many requests the record holds; beyond that the oldest is dropped."""
    reject_busy: bool = True
    """Whether a prompt on a thread with an active run is refused with 409. If not, both runs proceed."""
    today: dt.date | None = None
    """The date that "last week" counts from; None: 2026-03-20 for the sample content, else the real date."""
    data: Path | None = None
    """A folder or file with the content to answer about; None: the sample content."""
    answers: Path | None = None
    """A file of scripted answers, which are tried before the content."""
    seed: int | None = None
    """Makes the ids the same in each process; None: they are random."""


DEFAULTS: Final = SandboxOptions()


class Credentials:
    """The credentials that a sandbox accepts, and the access tokens that it has issued."""

    def __init__(self, options: SandboxOptions, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._options, self._clock, self._new_id = options, clock, new_id
        self._expiries: dict[str, float] = {}

    def status(self, headers: Headers) -> int:
        """Return 200, 401 or 403 for the credential in X-Api-Key or, where that is absent, in Authorization."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key", bearer if scheme.lower() == "bearer" else "")
        if key in self._options.api_keys or (
            "x-api-key" not in headers and self._expiries.get(key, 0.0) > self._clock()
        ):
            return 200
        return 403 if key in self._options.forbidden_keys else 401

    def issue(self, client_id: str, client_secret: str) -> str | None:
        """Return a new access token for the known client, None for any other."""
        if (client_id, client_secret) != (self._options.client_id, self._options.client_secret):
            return None
        while len(self._expiries) >= _TOKENS_KEPT:
            del self._expiries[next(iter(self._expiries))]
        token = f"sandbox-token-{self._new_id()}"
        self._expiries[token] = self._clock() + self._options.token_seconds
        return token
