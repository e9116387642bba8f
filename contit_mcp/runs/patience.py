"""How long something may take, when it is this process that may have no time to look.

A process that gets too little processor, among many or under a quota, finds each answer late. Were that taken for the
other side's delay, it would take every peer for dead just when many depend on it.
"""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

_SCHEDULER = "/proc/thread-self/schedstat"
"""Linux says here how long this thread has run, and how long it has waited for a processor, in nanoseconds."""

_SHORTEST_PAUSE = 0.01


class Stopwatch:
    """Counts the seconds alone in which this thread had nothing to do, from when it is made."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began, self._busy = self._clock(), _busy_seconds()

    @property
    def idle_seconds(self) -> float:
        """Until now."""
        return self._clock() - self._began - (_busy_seconds() - self._busy)


class Patience:
    """Waits for work by that watch.

    Args:
        seconds: How long work may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work.

        Raises:
            TimeoutError: It took too long.
        """
        loop, watch = asyncio.get_running_loop(), Stopwatch()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            left = self._seconds - watch.idle_seconds
            if left > 0:
                timer = loop.call_later(max(left, _SHORTEST_PAUSE), look)
            else:
                scope.cancel()

        with anyio.CancelScope() as scope:
            timer = loop.call_later(self._seconds, look)
            try:
                return await work()
            finally:
                timer.cancel()
        raise TimeoutError


def _busy_seconds() -> float:
    """How long this thread has run, or wanted to. Elsewhere than on Linux the latter is not known."""
    try:
        ran, waited, _ = os.pread(_opened_here(), 100, 0).split()
    except (OSError, ValueError):
        return time.thread_time()
    return (int(ran) + int(waited)) / 1e9


def _opened_here() -> int:
    """This thread's own file, opened once: a thousand asks look into it some thousand times a second."""
    if not hasattr(_local, "file"):
        _local.file = os.open(_SCHEDULER, os.O_RDONLY | os.O_CLOEXEC)
    file: int = _local.file
    return file


_local = threading.local()
