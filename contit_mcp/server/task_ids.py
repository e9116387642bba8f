"""The ids of tasks: sealed, so that any process that has the key can answer them, and nobody else can make one."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contit_mcp.server.handles import Sealer

TTL_SECONDS = 86_400.0
"""How long an id is good for: as long as a run is remembered."""

_KIND = "task"
_SEPARATOR = "\n"  # cannot be in an id of Contit's


@dataclass(frozen=True, slots=True)
class TaskId:
    """What the id of a task holds.

    Attributes:
        thread_id: Contit's.
        run_id: Contit's. Tasks that share a run differ by their time.
        asked_at_ms: When it was asked, in milliseconds since the epoch.
    """

    thread_id: str
    run_id: str
    asked_at_ms: int

    @property
    def created_at(self) -> float:
        """When it was asked, in seconds since the epoch."""
        return self.asked_at_ms / 1000

    def sealed(self, sealer: "Sealer", owner: str) -> str:
        """As the owner gets it."""
        return sealer.seal(_KIND, owner, _SEPARATOR.join((str(self.asked_at_ms), self.thread_id, self.run_id)))


def open_task_id(text: str, sealer: "Sealer", owner: str, *, now: float) -> TaskId | None:
    """The id in what a caller sent; None when it is forged, somebody else's, of another kind, or too old."""
    opened = sealer.open(_KIND, owner, text)
    if opened is None:
        return None
    asked_at_ms, thread_id, run_id = opened.split(_SEPARATOR)
    task_id = TaskId(thread_id, run_id, int(asked_at_ms))
    return task_id if now - task_id.created_at < TTL_SECONDS else None


def key_from(identity: str) -> str:
    """A seal key for servers to which none is configured; as secret as `identity`, which of OAuth2 is the client's id.

    Where it is used, whoever can call may use any id of Contit's anyway.
    """
    return hmac.new(b"contit-mcp task ids v1", identity.encode(), hashlib.sha256).hexdigest()
