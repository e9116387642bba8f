"""contit_probe: how long a host lets a call take, measured by its user."""

import json
from collections.abc import AsyncIterator

import anyio
import pytest
from mcp.client import Client
from mcp_types import Implementation

from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from tests.echo_contit import EchoContit
from tests.server.stage import ERAS, WANTS_PROGRESS, call, settings
from tests.server.test_tools import SNAPSHOT

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ERAS)
async def probing(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Client, EchoContit]]:
    """A client of a server with the probe, in each era."""
    contit = EchoContit()
    async with (
        AppContext(settings(), transport=contit) as context,
        Client(
            create_server(context, probe=True),
            mode=request.param,
            client_info=Implementation(name="some-host", version="1"),
        ) as client,
    ):
        yield client, contit


async def test_it_stands_beside_the_four_tools_which_do_not_change(probing: tuple[Client, EchoContit]) -> None:
    """Without --probe it is not there at all: the snapshot of the tools holds."""
    tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await probing[0].list_tools()).tools]
    assert tools[:4] == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in tools[4:]] == ["contit_probe"]
    assert tools[4]["annotations"]["readOnlyHint"] is True


@pytest.mark.parametrize(("wished", "lasts"), [(75, 75.0), (10_000, 600.0), (-1, 0.0)])
async def test_it_lasts_as_long_as_wished_and_at_most_ten_minutes(
    probing: tuple[Client, EchoContit], wished: int, lasts: float
) -> None:
    """A wish is cut down, never refused; Contit is asked nothing."""
    client, contit = probing
    began = anyio.current_time()
    found, texts, is_error = await call(client, "contit_probe", {"seconds": wished})
    assert not is_error
    assert found == {"status": "completed", "waited_seconds": lasts, "host": "some-host"}
    assert anyio.current_time() - began == pytest.approx(lasts, abs=0.1)
    assert f"lasted {lasts} s" in texts[0]
    assert contit.requests == []


@pytest.mark.parametrize(("wanted", "messages"), [(True, 4), (False, 1)])
async def test_it_sends_progress_or_none_after_the_first(
    probing: tuple[Client, EchoContit], wanted: bool, messages: int
) -> None:
    """Hosts differ in whether progress extends a call; the first message says that it has begun."""
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    arguments = {"seconds": 35, "progress": wanted}
    await probing[0].call_tool("contit_probe", arguments, progress_callback=on_progress, meta=WANTS_PROGRESS)
    assert len(seen) == messages
