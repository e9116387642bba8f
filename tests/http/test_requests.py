"""What is around every request: when an answer counts as sent."""

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from contit_mcp.http.requests import Requests, Streams
from contit_mcp.server.request_state import request_state

pytestmark = pytest.mark.anyio


class Exchange:
    """One request to an application that gives an answer and wants to know whether it was sent.

    Args:
        takes: How many messages of the response the client takes; for the next one it has no room.
    """

    def __init__(self, takes: int) -> None:
        self.sent: list[Message] = []
        self.noted: list[bool] = []
        self.streams = Streams()
        self._takes = takes

    async def __call__(self) -> None:
        """Serve it."""
        scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "client": None}
        await Requests(self._answer, self.streams, lambda *_: None)(scope, self._receive, self._send)

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
            await anyio.sleep(60)  # until the server's own grace ends
        self.sent.append(message)


async def test_an_answer_whose_last_message_was_taken_is_sent() -> None:
    """Nothing more can be known."""
    exchange = Exchange(takes=3)
    await exchange()
    assert exchange.noted == [True]


@pytest.mark.parametrize("takes", [1, 2])
async def test_an_answer_that_a_client_had_no_room_for_is_not_sent(takes: int) -> None:
    """A drain ends it meanwhile; whoever asks the same again is owed the answer, not a second run."""
    exchange = Exchange(takes)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exchange)
        await anyio.sleep(1)
        exchange.streams.end()
    assert exchange.noted == [False]
