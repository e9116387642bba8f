"""The waits that are under way, so that a shutdown can end all of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

SENDING_SECONDS = 2.0
"""What a start that is being sent still gets at `close`. Nearly all end in that time."""


LAUNCHING_SECONDS = 1.0
"""What a question on its way to its run still gets at `close`: with its run it has a handle, without it nothing.
With the sending after it, it stays under what a drain waits for calls (3.5 s)."""


class Waits:
    """Bounded waits: each ends at its deadline, when its caller leaves, or when the process closes."""

    def __init__(self) -> None:
        self._scopes: dict[anyio.CancelScope, float] = {}
        self._sendings: set[anyio.CancelScope] = set()
        self.closing = False

    @contextmanager
    def until(self, deadline: float = math.inf, *, grace: float = 0.0) -> Iterator[None]:
        """What is awaited inside is given up at the deadline (on the event loop's clock), or so long after `close`."""
        with anyio.CancelScope(deadline=deadline) as scope:
            self._scopes[scope] = grace
            if self.closing:
                _end(scope, grace)
            try:
                yield
            finally:
                del self._scopes[scope]

    @contextmanager
    def sending(self, seconds: float) -> Iterator[None]:
        """What is awaited inside cannot be taken back: it has its time, though at `close` only a little more.

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
        """End every wait now, each later one at its first step; what begins or sends a run, a little later."""
        self.closing = True
        for scope, grace in tuple(self._scopes.items()):
            _end(scope, grace)
        for scope in self._sendings:
            _end(scope, SENDING_SECONDS)


def _end(scope: anyio.CancelScope, grace: float) -> None:
    if grace:
        scope.deadline = min(scope.deadline, anyio.current_time() + grace)
    else:
        scope.cancel()
