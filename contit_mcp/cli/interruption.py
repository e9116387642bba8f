"""Ctrl-C and SIGTERM while something is waited for: the first asks it to end, the second does not wait."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio

INTERRUPTED = 130
"""The exit code: 128 and the number of SIGINT, as shells count."""


class Interruption:
    """Whether it was interrupted, and what happens then. Works on Windows too, where loops take no handlers."""

    def __init__(self) -> None:
        self.happened = False
        self._told = anyio.Event()

    @contextmanager
    def watched(self, *, first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
        """While inside, a signal does this instead of raising KeyboardInterrupt.

        Args:
            first: Called on the event loop, by the first signal.
            second: Called inside the handler, by the second signal, before the process ends.
        """
        loop = asyncio.get_running_loop()

        def tell() -> None:
            first()
            self._told.set()

        def on_signal(_: int, __: FrameType | None) -> None:
            if self.happened:
                second()
                os._exit(INTERRUPTED)
            self.happened = True
            loop.call_soon_threadsafe(tell)

        # One that is ignored stays so: a shell starts what runs in its background like that.
        numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the interruption."""
        with anyio.move_on_after(seconds):
            await self._told.wait()
