"""What the calls of one process share. The first call imports `services`, so that a host lists the tools quickly."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from contit_mcp.config.settings import Settings
from contit_mcp.server.host_waits import WaitPolicy
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.telemetry.call_stats import Reachability

if TYPE_CHECKING:  # start-up time
    import httpx

    from contit_mcp.runs.claims import ReplayPolicy
    from contit_mcp.runs.store import RunStore
    from contit_mcp.server.services import Services
    from contit_mcp.server.tenancy import Tenant
    from contit_mcp.telemetry.metrics import Metrics


class AppContext:
    """The settings of one process, and the services behind its calls. Use it from `open_context`.

    A server without a credential starts and lists its tools; each call says what to set.

    Args:
        settings: The configuration.
        sharing: Whose credential asks Contit, and which callers are told apart.
        transport: Replaces the network: the embedded sandbox, or a test's fake Contit.
        store: Replaces the store of the settings.
        replay: Which answers are returned once more to the same question.
        metrics: Count what happens.

    Raises:
        ConfigurationError: A seal key cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sharing: Sharing = Sharing.ONE_CALLER,
        transport: "httpx.AsyncBaseTransport | None" = None,
        store: "RunStore | None" = None,
        replay: "ReplayPolicy | None" = None,
        metrics: "Metrics | None" = None,
    ) -> None:
        self.settings = settings
        self.sharing = sharing
        self.transport = transport
        self.store = store
        self.replay = replay
        self.metrics = metrics
        self.waits = WaitPolicy(operator_seconds=settings.wait_seconds, longest=settings.max_wait_seconds)
        self.calls_in_flight = 0
        self.reachability = Reachability()
        self.on_listed: Callable[[], None] = lambda: None
        self._closing = False
        self._users = 0
        self._services: Services | None = None
        if settings.seal_keys():
            self.services()  # reports a key that cannot be used before anything is served

    def services(self) -> "Services":
        """Return what the calls need. The first call imports it; it opens no file and no connection yet."""
        if self._services is None:
            from contit_mcp.server.services import Services  # noqa: PLC0415 - start-up time

            self._services = Services(self)
            if self._closing:
                self._services.drain.close()
        return self._services

    def tenant(self, caller: Caller) -> "Tenant":
        """Return the assistant that asks for this caller.

        Raises:
            ConfigurationError: No credential is configured, the caller was not identified, or the CA file or the
                store cannot be used.
        """
        return self.services().tenant(caller)

    def close(self) -> None:
        """Start no more runs, and end every wait now with its handle."""
        self._closing = True
        if self._services is not None:
            self._services.drain.close()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Close the connections and files when the last of several users at once has left."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                with anyio.CancelScope(shield=True):
                    await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and files. The next call opens them again."""
        if self._services is not None:
            await self._services.aclose()


@asynccontextmanager
async def open_context(
    settings: Settings,
    *,
    sharing: Sharing = Sharing.ONE_CALLER,
    transport: "httpx.AsyncBaseTransport | None" = None,
    store: "RunStore | None" = None,
    replay: "ReplayPolicy | None" = None,
    metrics: "Metrics | None" = None,
) -> AsyncIterator[AppContext]:
    """Yield the context of a process, and close its connections at the end."""
    context = AppContext(settings, sharing=sharing, transport=transport, store=store, replay=replay, metrics=metrics)
    async with context.in_use():
        yield context
