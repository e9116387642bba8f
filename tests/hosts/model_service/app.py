"""The stand-in as a web service: each host finds its model's API below the same address."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.hosts.model_service import dialects
from tests.hosts.model_service.conversation import Model, Shown, ToolCall
from tests.hosts.model_service.dialects import Body, Event

Turn = ToolCall | str


def create_model_service(model: Model) -> Starlette:
    """The application before this model."""

    def api(
        read: Callable[[Body], Shown], whole: Callable[[Turn], Any], events: Callable[[Turn], Iterable[Event]]
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.json()
            turn = model.answer(read(body))
            if body.get("stream") or request.path_params.get("model", "").endswith(":streamGenerateContent"):
                return _stream(events(turn), ends="[DONE]" if "chat" in request.url.path else None)
            return JSONResponse(whole(turn))

        return endpoint

    messages = api(dialects.read_messages, dialects.messages_turn, dialects.messages_events)
    chat = api(dialects.read_chat, dialects.chat_turn, dialects.chat_events)
    responses = api(dialects.read_responses, dialects.responses_turn, dialects.responses_events)
    contents = api(dialects.read_contents, dialects.contents_turn, lambda turn: [("", dialects.contents_turn(turn))])
    return Starlette(
        routes=[
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", _count, methods=["POST"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1beta/models/{model}", contents, methods=["POST"]),
        ]
    )


async def _count(_: Request) -> Response:
    return JSONResponse({"input_tokens": 10})


def _stream(events: Iterable[Event], *, ends: str | None) -> Response:
    lines = []
    for number, (name, data) in enumerate(events):
        more = {"type": name, "sequence_number": number} if name else {}
        lines.append((f"event: {name}\n" if name else "") + f"data: {json.dumps({**data, **more})}\n\n")
    if ends:
        lines.append(f"data: {ends}\n\n")
    return Response("".join(lines), media_type="text/event-stream")
