"""Lets what has begun get on before more is begun.

An event loop gives every request that is there one step each: of a thousand that come at once, the first has sent its
question when the last one has, and all their answers are there at once again. In groups, one after the other, each
request but the last ones is done sooner, and the last ones no later (docs/performance.md).
"""

import asyncio
from collections import deque

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

GROUP = 20
"""Requests that begin together. More share the store's transactions, fewer wait for each other."""

LOOK_SECONDS = 0.002
"""After which it is seen whether the event loop is on time. If it is, what has begun waits for somebody else by now."""

LONGEST_SECONDS = 0.1
"""After which the next group begins in any case: other work may keep the event loop busy for long."""


class Turns:
    """ASGI middleware. A request waits for its turn only where others came just before it.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[anyio.Event] = deque()
        self._begun = 0  # of the group whose turn it is; none where it is nobody's
        self._since = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, in its turn."""
        if self._waiting or self._begun == GROUP:
            turn = anyio.Event()
            self._waiting.append(turn)
            await turn.wait()
        else:
            if not self._begun:
                self._since = asyncio.get_running_loop().time()
                self._look_later()
            self._begun += 1
        await self._app(scope, receive, send)

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(LOOK_SECONDS, self._look, loop.time() + LOOK_SECONDS)

    def _look(self, due: float) -> None:
        now = asyncio.get_running_loop().time()
        if now - due <= LOOK_SECONDS or now - self._since >= LONGEST_SECONDS:
            self._begun = min(GROUP, len(self._waiting))
            self._since = now
            for _ in range(self._begun):
                self._waiting.popleft().set()
        if self._begun:
            self._look_later()
