"""An asyncio event loop whose clock jumps to the next timer instead of waiting for it.

A test of a 30-minute limit takes milliseconds, and no test depends on the speed of the machine. A test with real
sockets, threads or processes cannot use it: timers would end before these run.
"""

import asyncio
import selectors


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module. `time()` begins at 1,000 seconds."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return 1_000.0 + self._jumping.now
