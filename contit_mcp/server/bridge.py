"""What the tools stand on, as the settings describe it: opened on the first call that needs it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from contit_mcp.assistant.shutdown import DrainScope
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError
from contit_mcp.server.host_waits import WaitPolicy
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.telemetry.finished_call import FinishedCall

if TYPE_CHECKING:
    import httpx

    from contit_mcp.runs.claims import ReplayPolicy
    from contit_mcp.server.handles import Sealer
    from contit_mcp.server.opened import OpenedBridge
    from contit_mcp.server.owned import OwnedAssistant


class Bridge:
    """The assistant as the settings describe it. Use it from `open_bridge`.

    Opening waits for the first call, so that a host lists the tools at once, and so that a server without
    a credential starts, lists its tools, and says in each call what to set.

    Args:
        settings: The configuration.
        sharing: Whose credential asks, and who is told apart.
        transport: Stands in for the network: the embedded sandbox, or a test's.
        replay: What makes it unsure that an answer reached its caller.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sharing: Sharing = Sharing.ONE_CALLER,
        transport: "httpx.AsyncBaseTransport | None" = None,
        replay: "ReplayPolicy | None" = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._replay = replay
        self._settings = settings
        self._sharing = sharing
        self._transport = transport
        self.now = now
        self._sealer = _sealer(keys) if (keys := settings.seal_keys()) else None
        self._owner_key = keys[-1].encode() if keys else b"contit-mcp"
        self._opened: OpenedBridge | None = None
        self._drain = DrainScope()
        self.waits = WaitPolicy(operator_seconds=settings.wait_seconds, longest=settings.max_wait_seconds)
        self.calls_in_flight = 0
        self.on_finished: Callable[[FinishedCall], None] = lambda _: None

    def for_caller(self, caller: Caller) -> "OwnedAssistant":
        """The assistant that asks for this caller.

        Raises:
            ConfigurationError: No credential is configured, or the CA file or the store cannot be used.
        """
        return self.opened().for_caller(caller)

    def opened(self) -> "OpenedBridge":
        """What the calls need, imported and made when it is first wanted. It opens no file and no connection yet."""
        if self._opened is None:
            # Start-up time: httpx, aiohttp and the core are a fifth of it, and a host lists the tools without them.
            from contit_mcp.server.opened import OpenedBridge  # noqa: PLC0415

            self._opened = OpenedBridge(
                self._settings,
                sharing=self._sharing,
                sealer=self._sealer,
                owner_key=self._owner_key,
                drain=self._drain,
                transport=self._transport,
                replay=self._replay,
                now=self.now,
            )
        return self._opened

    def close(self) -> None:
        """Begin no more runs, and let every wait end now with its handle."""
        self._drain.close()

    async def aclose(self) -> None:
        """Close the connections and files."""
        if self._opened is not None:
            await self._opened.aclose()


def _sealer(keys: list[str]) -> "Sealer":
    from contit_mcp.server.handles import Sealer  # noqa: PLC0415 - start-up time: only deployed servers seal

    try:
        return Sealer(keys)
    except ValueError as exc:
        raise ConfigurationError(
            f"CONTIT_MCP_SEAL_KEY cannot be used: {exc}.", hint="Make one with: openssl rand -hex 32"
        ) from exc


@asynccontextmanager
async def open_bridge(
    settings: Settings,
    *,
    sharing: Sharing = Sharing.ONE_CALLER,
    transport: "httpx.AsyncBaseTransport | None" = None,
    replay: "ReplayPolicy | None" = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Bridge]:
    """A bridge whose connections are closed at the end."""
    bridge = Bridge(settings, sharing=sharing, transport=transport, replay=replay, now=now)
    try:
        yield bridge
    finally:
        await bridge.aclose()
