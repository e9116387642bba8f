"""What surrounds every request: when an answer counts as sent, and what a drain leaves of it."""

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from contit_mcp.http.requests import Requests
from contit_mcp.server.request_state import request_state

pytestmark = pytest.mark.anyio


class Exchange:
    """One request to an application that wants to know whether its answer was sent.

    Args:
        takes: How many messages of the response the client takes; for the next one it has no room.
    """

    def __init__(self, takes: int) -> None:
        self.sent: list[Message] = []
        self.noted: list[bool] = []
        self.counted: list[tuple[str, int, str | None]] = []
        self._takes = takes

    async def __call__(self) -> None:
        """Serve it."""
        scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "client": None}
        await Requests(self._answer, lambda *seen: self.counted.append(seen))(scope, self._receive, self._send)

    async def _answer(self, scope: Scope, _: Receive, send: Send) -> None:
        async def note(sent: bool) -> None:
            self.noted.append(sent)

        request_state(scope).notes.append(note)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: the answer\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _receive(self) -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def _send(self, message: Message) -> None:
        if len(self.sent) == self._takes:
            await anyio.sleep_forever()
        self.sent.append(message)


async def test_an_answer_whose_last_message_was_taken_is_sent() -> None:
    """Nothing more can be known."""
    exchange = Exchange(takes=3)
    await exchange()
    assert exchange.noted == [True]
    assert exchange.counted == [("/mcp", 200, None)]


@pytest.mark.parametrize("takes", [1, 2])
async def test_an_answer_that_a_client_had_no_room_for_is_not_sent(takes: int) -> None:
    """The same question again is owed the answer, not a second run."""
    exchange = Exchange(takes)
    with anyio.fail_after(60):
        await exchange()
    assert exchange.noted == [False]
    assert exchange.counted == [("/mcp", 200, "slow_reader")]
