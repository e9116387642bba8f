"""The stand-in as a web service, which has the APIs of all models below one address."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.hosts.model_service import dialects
from tests.hosts.model_service.conversation import Model, Shown, ToolCall
from tests.hosts.model_service.dialects import Body, Event

Turn = ToolCall | str


class Dialect(NamedTuple):
    """How one API reads a request, and writes a turn at once and as a stream."""

    read: Callable[[Body], Shown]
    whole: Callable[[Turn], Any]
    events: Callable[[Turn], Iterable[Event]]


DIALECTS = {
    "/v1/messages": Dialect(dialects.read_messages, dialects.messages_turn, dialects.messages_events),
    "/v1/chat/completions": Dialect(dialects.read_chat, dialects.chat_turn, dialects.chat_events),
    "/v1/responses": Dialect(dialects.read_responses, dialects.responses_turn, dialects.responses_events),
}
GEMINI = Dialect(dialects.read_contents, dialects.contents_turn, lambda turn: [("", dialects.contents_turn(turn))])


def create_model_service(model: Model) -> Starlette:
    async def endpoint(request: Request) -> Response:
        path = request.url.path
        if path.endswith("/count_tokens"):
            return JSONResponse({"input_tokens": 10})
        dialect = GEMINI if path.startswith("/v1beta/models/") else DIALECTS.get(path)
        if dialect is None:
            return Response(status_code=404)
        body = await request.json()
        turn = model.answer(dialect.read(body))
        if not (body.get("stream") or path.endswith(":streamGenerateContent")):
            return JSONResponse(dialect.whole(turn))
        lines = []
        for number, (name, data) in enumerate(dialect.events(turn)):
            more = {"type": name, "sequence_number": number} if name else {}
            lines.append((f"event: {name}\n" if name else "") + f"data: {json.dumps({**data, **more})}\n\n")
        if "chat" in path:
            lines.append("data: [DONE]\n\n")
        return Response("".join(lines), media_type="text/event-stream")

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["POST"])])
