"""Who calls: what a transport has found out about it, and hands on with the request."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # start-up time: it brings httpx along
    from contit_mcp.contit.auth import Credential

SCOPE_KEY = "contit_mcp.caller"
"""Where an authenticating transport puts the `Caller` into the ASGI scope of a request."""

SENT_KEY = "contit_mcp.when_sent"
"""Where a transport that knows when a response has been sent takes what is to be noted then, in the ASGI scope."""

TRACE_KEY = "contit_mcp.trace"
"""Where a call puts its trace into the ASGI scope: it may come with the message (`_meta`), not with its headers."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller.

    Attributes:
        principal: The name of its token or the subject of its JWT; it asks with the server's credential.
        credential: Its own credential for Contit, where it brings one.
    """

    principal: str | None = None
    credential: "Credential | None" = None


class Sharing(Enum):
    """Whose credential asks Contit, and who is told apart."""

    ONE_CALLER = "one caller"
    """The server's, for whoever reaches it: the one user of this machine."""
    BY_PRINCIPAL = "by principal"
    """The server's, for callers that are told apart: they see handles, never Contit's ids."""
    BY_CREDENTIAL = "by credential"
    """Each caller's own."""
