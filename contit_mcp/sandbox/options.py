"""What a sandbox can be told: how long runs take, who may ask, what goes wrong."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contit_mcp.sandbox.faults import Fault


@dataclass(frozen=True)
class SandboxOptions:
    """How one sandbox behaves. The defaults are good for trying things out by hand."""

    run_seconds: float = 1.5
    """How long each run takes, in seconds of the sandbox's clock."""
    api_keys: frozenset[str] = frozenset({"sandbox-key"})
    """Accepted in the header X-Api-Key and, as personal access tokens are, as a Bearer token."""
    forbidden_keys: frozenset[str] = frozenset({"sandbox-forbidden"})
    """Known keys without the ReadAccess policy: they are answered 403."""
    client_id: str = "sandbox-client"
    """The one OAuth2 client that may fetch tokens."""
    client_secret: str = "sandbox-secret"
    """That client's secret."""
    token_seconds: float = 3600
    """How long a fetched access token is good for, in seconds."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong, in order; see `contit_mcp.sandbox.faults`."""
    reject_busy: bool = True
    """Whether a prompt on a thread with an active run is refused with 409. If not, both runs go on."""
    today: dt.date = dt.date(2026, 3, 20)
    """The day the assistant takes for today, so that "last week" is always the same week."""


DEFAULTS: Final = SandboxOptions()
"""A sandbox as it comes: one known key, runs of 1.5 seconds, nothing going wrong."""
