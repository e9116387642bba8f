"""How long something may take, when this process itself may be late: it can be there, and nobody had time to look."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")

_TICK = 0.05
"""Seconds between two looks at the clock."""

_SHORTEST = 0.1
"""Seconds of patience that are worth another try."""


class Patience:
    """Waits for work, not counting the seconds by which this process's event loop came late meanwhile.

    A process that gets no processor for a while would otherwise take every peer for dead.

    Args:
        seconds: How long work may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._late = 0.0  # in all
        self._watching = 0
        self._ticking = False

    async def wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work; from its beginning again where it had no fair chance, so it must bear that.

        Raises:
            TimeoutError: It took too long.
        """
        left = self._seconds
        with self._watch():
            while True:
                began, late = anyio.current_time(), self._late
                try:
                    with anyio.fail_after(left):
                        return await work()
                except TimeoutError:
                    left -= anyio.current_time() - began - (self._late - late)
                    if left < _SHORTEST:
                        raise

    @contextmanager
    def _watch(self) -> Iterator[None]:
        self._watching += 1
        if not self._ticking:
            self._ticking = True
            self._tick(asyncio.get_running_loop())
        try:
            yield
        finally:
            self._watching -= 1

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _TICK
        loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._late += max(0.0, loop.time() - due)
        self._ticking = self._watching > 0
        if self._ticking:
            self._tick(loop)
