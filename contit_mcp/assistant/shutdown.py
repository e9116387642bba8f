"""The waits that are under way, so that a shutdown can end all of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

SENDING_SECONDS = 2.0
"""What a start that is being sent still gets at `close`. Nearly all end in that time."""


STARTING_SECONDS = 1.0
"""What a question on its way to its run still gets at `close`: with its run it has a handle, without it nothing.
With the sending after it, it stays under what a drain waits for calls (3.5 s)."""


class DrainScope:
    """Bounded waits: each ends at its deadline, when its caller leaves, or when the process closes."""

    def __init__(self) -> None:
        self._waits: dict[anyio.CancelScope, float] = {}
        self._sendings: set[anyio.CancelScope] = set()
        self.closing = False

    @contextmanager
    def cancellable(self, deadline: float = math.inf, *, grace: float = 0.0) -> Iterator[None]:
        """Cancel what is awaited inside at the deadline, or `grace` seconds after `close`."""
        with anyio.CancelScope(deadline=deadline) as scope:
            self._waits[scope] = grace
            if self.closing:
                _end(scope, grace)
            try:
                yield
            finally:
                del self._waits[scope]

    @contextmanager
    def shielded(self, seconds: float) -> Iterator[None]:
        """Give what is awaited inside its time, because it cannot be taken back; at `close` only a little more.

        Raises:
            TimeoutError: It took longer.
        """
        with anyio.fail_after(min(seconds, SENDING_SECONDS) if self.closing else seconds) as scope:
            self._sendings.add(scope)
            try:
                yield
            finally:
                self._sendings.discard(scope)

    def close(self) -> None:
        """End every wait now, and each later one at its first step; starts of runs get a little longer."""
        self.closing = True
        for scope, grace in tuple(self._waits.items()):
            _end(scope, grace)
        for scope in self._sendings:
            _end(scope, SENDING_SECONDS)


def _end(scope: anyio.CancelScope, grace: float) -> None:
    if grace:
        scope.deadline = min(scope.deadline, anyio.current_time() + grace)
    else:
        scope.cancel()
