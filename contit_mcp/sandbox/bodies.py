"""Request bodies: read up to a limit, and what they must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES: Final = 1024 * 1024
"""Longer bodies are refused with 413; a prompt is a few kilobytes at most."""


class BodyTooLargeError(Exception):
    """The request's body is over `MAX_BODY_BYTES`."""


class StartBody(BaseModel):
    """What the start endpoint takes; other fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)

    thread_id: str | None = Field(default=None, alias="threadId")
    prompt: str


async def read_body(request: Request) -> bytes:
    """Read the whole body. Raises BodyTooLargeError as soon as it is over the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise BodyTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
    return bytes(body)
