"""How late this process itself is: what a starved event loop waits for has often been there for long."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_TICK = 0.05
"""Seconds between two looks at the clock."""


class Lateness:
    """Adds up the seconds by which the event loop came late, while somebody watches."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._watching = 0
        self._ticking = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While inside, `seconds` grows with each delay."""
        self._watching += 1
        if not self._ticking:
            self._ticking = True
            self._look_again(asyncio.get_running_loop())
        try:
            yield
        finally:
            self._watching -= 1

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _TICK
        loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.seconds += max(0.0, loop.time() - due)
        self._ticking = self._watching > 0
        if self._ticking:
            self._look_again(loop)
