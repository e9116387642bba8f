"""The waits that are under way, so that a shutdown can end all of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Waits:
    """Bounded waits: each ends at its deadline, when its caller leaves, or when the process closes."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
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

    def close(self) -> None:
        """End every wait now, and each later one at its first step."""
        self.closing = True
        for scope in tuple(self._scopes):
            scope.cancel()
