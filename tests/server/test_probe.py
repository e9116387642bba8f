"""contit_probe: how long a host lets a call take, measured by its user."""

import json

import anyio
import pytest
from mcp_types import CallToolResult

from tests.echo_contit import EchoContit
from tests.server.stage import WANTS_PROGRESS, connected, in_each_era
from tests.server.test_tools import SNAPSHOT

pytestmark = pytest.mark.anyio


@in_each_era
async def test_it_stands_beside_the_four_tools_which_do_not_change(era: str) -> None:
    """Without --probe it is not there at all: the snapshot of the tools holds."""
    async with connected(EchoContit(), era=era, probe=True) as (client, _):
        tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools]
    assert tools[:4] == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in tools[4:]] == ["contit_probe"]


@pytest.mark.parametrize(
    ("wished", "lasts", "progress", "messages"),
    [(35, 35.0, True, 4), (35, 35.0, False, 1), (10_000, 600.0, False, 1), (-1, 0.0, True, 1)],
)
@in_each_era
async def test_it_lasts_as_long_as_wished_and_at_most_ten_minutes(
    era: str, wished: int, lasts: float, progress: bool, messages: int
) -> None:
    """With progress or without: hosts differ in whether it extends a call. Contit is asked nothing."""
    contit = EchoContit()
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    arguments = {"seconds": wished, "progress": progress}
    async with connected(contit, era=era, host="some-host", probe=True) as (client, _):
        began = anyio.current_time()
        result = await client.call_tool("contit_probe", arguments, progress_callback=on_progress, meta=WANTS_PROGRESS)
        assert anyio.current_time() - began == pytest.approx(lasts, abs=0.1)
    assert isinstance(result, CallToolResult)
    assert result.structured_content == {"status": "completed", "waited_seconds": lasts, "host": "some-host"}
    assert len(seen) == messages
    assert contit.requests == []
