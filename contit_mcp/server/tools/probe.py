"""contit_probe, with which a user measures how long a host lets a call take. It is there with --probe only."""

from typing import Annotated, Literal

import anyio
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field

from contit_mcp.server.calls import Call

LONGEST_SECONDS = 600.0
"""No host that was measured waits longer for a call without a wish of its user."""


class ProbeResult(BaseModel):
    """How long the call lasted."""

    model_config = ConfigDict(frozen=True, title="ProbeResult")

    status: Annotated[Literal["completed"], Field(description="The wait is over.")]
    waited_seconds: Annotated[float, Field(description="How long the call lasted here.")]
    progress: Annotated[bool, Field(description="Whether progress was sent meanwhile.")]
    host: Annotated[str, Field(description="How the host names itself; empty if it does not.")]


async def contit_probe(
    call: Call,
    seconds: Annotated[float, Field(allow_inf_nan=False, description="How long to wait, at most 600.")],
    progress: Annotated[bool, Field(description="Whether to send progress every 10 seconds. Default true.")] = True,  # noqa: FBT002
) -> Annotated[CallToolResult, ProbeResult]:
    """Wait so many seconds and say how long it was. Measures how long this host lets a tool call take; \
it asks Contit nothing."""
    if not progress:
        call.observer.fall_silent()
    began = anyio.current_time()
    await anyio.sleep(min(max(seconds, 0.0), LONGEST_SECONDS))
    waited = round(anyio.current_time() - began, 1)
    result = ProbeResult(status="completed", waited_seconds=waited, progress=progress, host=call.host or "")
    sent = "with progress every 10 s" if progress else "without progress"
    text = f"The call lasted {waited} s, {sent}. {call.host or 'This host'} lets a call take at least that long."
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=result.model_dump(mode="json")
    )
