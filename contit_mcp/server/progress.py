"""Progress of a waiting call, for callers that asked for it. It never slows the wait: it runs beside it."""

from collections.abc import Awaitable, Callable

import anyio

from contit_mcp.assistant.reports import Observer

EVERY_SECONDS = 10.0
"""The longest silence. Hosts that give up on silence do so after minutes; people after less."""


class CallObserver(Observer):
    """Follows one call: the ids for its log line, and what to tell a caller that wants progress.

    `shown` turns Contit's ids into what the caller may see.
    """

    def __init__(self) -> None:
        self.shown: Callable[[str | None, str | None], tuple[str | None, str | None]] = lambda *ids: ids
        self.thread_id: str | None = None
        self.run_id: str | None = None
        self._message = "Asking Contit"
        self._changed = anyio.Event()
        self._silent = False

    def fall_silent(self) -> None:
        """Send no more than was sent by now: a first message."""
        self._silent = True

    def started(self, thread_id: str, run_id: str) -> None:
        """The ids exist; whoever loses this call can go on with them."""
        self.thread_id, self.run_id = thread_id, run_id
        self._say(f"Contit is working on it ({self._ids()})")

    def status(self, word: str) -> None:
        """Contit's word for the run has changed."""
        if self.run_id is not None and word.isprintable():
            self._say(f"Contit says {word[:40]} ({self._ids()})")

    def _ids(self) -> str:
        thread_id, run_id = self.shown(self.thread_id, self.run_id)
        return f"thread_id={thread_id}, run_id={run_id}"

    def _say(self, message: str) -> None:
        if message != self._message:
            self._message = message
            self._changed.set()

    async def report(self, send: Callable[[float, str], Awaitable[None]]) -> None:
        """Send progress at once, on every change, and at least every 10 s, until cancelled.

        Args:
            send: Takes the seconds so far, which always grow, and a message.
        """
        began = anyio.current_time()
        progress = 0.0
        while not self._silent:
            self._changed = anyio.Event()
            elapsed = anyio.current_time() - began
            progress = max(elapsed, progress + 0.001)
            await send(round(progress, 3), f"{self._message}, {elapsed:.0f} s so far")
            with anyio.move_on_after(EVERY_SECONDS):
                await self._changed.wait()
