"""contit_probe: how long a host lets a call take, measured by its user."""

import json

import anyio
import pytest

from tests.echo_contit import EchoContit
from tests.server.stage import WANTS_PROGRESS, call, connected, in_each_era
from tests.server.test_tools import SNAPSHOT

pytestmark = pytest.mark.anyio


@in_each_era
async def test_it_stands_beside_the_four_tools_which_do_not_change(era: str) -> None:
    """Without --probe it is not there at all: the snapshot of the tools holds."""
    async with connected(EchoContit(), era=era, probe=True) as (client, _):
        tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools]
    assert tools[:4] == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in tools[4:]] == ["contit_probe"]


@pytest.mark.parametrize(("wished", "lasts"), [(75, 75.0), (10_000, 600.0), (-1, 0.0)])
async def test_it_lasts_as_long_as_wished_and_at_most_ten_minutes(wished: int, lasts: float) -> None:
    """A wish is cut down, never refused; Contit is asked nothing."""
    contit = EchoContit()
    async with connected(contit, host="some-host", probe=True) as (client, _):
        began = anyio.current_time()
        found, texts, is_error = await call(client, "contit_probe", {"seconds": wished})
        assert anyio.current_time() - began == pytest.approx(lasts, abs=0.1)
    assert (found["waited_seconds"], found["host"], is_error) == (lasts, "some-host", False)
    assert f"lasted {lasts} s" in texts[0]
    assert contit.requests == []


@pytest.mark.parametrize(("wanted", "messages"), [(True, 4), (False, 1)])
@in_each_era
async def test_it_sends_progress_or_none_after_the_first(era: str, wanted: bool, messages: int) -> None:
    """Hosts differ in whether progress extends a call; the first message says that it has begun."""
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    arguments = {"seconds": 35, "progress": wanted}
    async with connected(EchoContit(), era=era, probe=True) as (client, _):
        await client.call_tool("contit_probe", arguments, progress_callback=on_progress, meta=WANTS_PROGRESS)
    assert len(seen) == messages
