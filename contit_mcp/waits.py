"""The waits that are under way, so that a shutdown can end all of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

SENDING_SECONDS = 2.0
"""What a start that is being sent still gets at `close`. Nearly all end in that time."""


class Waits:
    """Bounded waits: each ends at its deadline, when its caller leaves, or when the process closes."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._sendings: set[anyio.CancelScope] = set()
        self.closing = False

    @contextmanager
    def until(self, deadline: float = math.inf) -> Iterator[None]:
        """What is awaited inside is given up at the deadline (on the event loop's clock) or at `close`."""
        with anyio.CancelScope(deadline=deadline) as scope:
            self._scopes.add(scope)
            if self.closing:
                scope.cancel()
            try:
                yield
            finally:
                self._scopes.discard(scope)

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
        """End every wait now, each later one at its first step, and what is being sent a little later."""
        self.closing = True
        for scope in tuple(self._scopes):
            scope.cancel()
        for scope in self._sendings:
            scope.deadline = min(scope.deadline, anyio.current_time() + SENDING_SECONDS)
