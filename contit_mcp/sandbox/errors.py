"""Error answers, as problem details. The vendor documents none: nobody should rely on their form."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer an error with its standard title and one sentence."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")
