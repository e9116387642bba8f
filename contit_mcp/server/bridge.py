"""What the tools stand on: the assistant and its owner, opened on the first call that needs them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from contit_mcp.api.auth import AccessTokenAuth, APIKeyAuth, ClientCredentialsAuth, Credential
from contit_mcp.api.client import ContitClient
from contit_mcp.api.transport import build_http_client
from contit_mcp.assistant import Assistant
from contit_mcp.exceptions import ConfigurationError
from contit_mcp.owners import fingerprint_owner
from contit_mcp.polling import PollPolicy
from contit_mcp.runs.opening import open_store
from contit_mcp.runs.store import RetentionPolicy, RunStore
from contit_mcp.server.host_waits import WaitPolicy
from contit_mcp.settings import Settings
from contit_mcp.state_folder import state_folder


class Bridge:
    """The assistant as the settings describe it. Use it from `open_bridge`.

    Opening waits for the first call, so that a host lists the tools at once, and so that a server without
    a credential starts, lists its tools, and says in each call what to set.

    Args:
        settings: The configuration.
        transport: Stands in for the network: the embedded sandbox, or a test's.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._now = now
        self._credential: Credential | None = None
        self._http: httpx.AsyncClient | None = None
        self._store: RunStore | None = None
        self._assistant: Assistant | None = None
        self.waits = WaitPolicy(operator_seconds=settings.wait_seconds, longest=settings.max_wait_seconds)
        self.calls_in_flight = 0
        self._closing = False

    def assistant(self) -> Assistant:
        """The assistant.

        Raises:
            ConfigurationError: No credential is configured, or the CA file or the store cannot be used.
        """
        if self._assistant is None:
            settings = self._settings
            self._credential = build_credential(settings, transport=self._transport)
            self._http = build_http_client(
                settings.base_url, auth=self._credential, ca_file=settings.ca_file, transport=self._transport
            )
            self._store = open_store(
                settings.store_location(),
                folder=state_folder(settings.state_dir),
                retention=RetentionPolicy(answer=settings.answer_seconds),
            )
            polling = PollPolicy(run_seconds=settings.run_limit_seconds)
            self._assistant = Assistant(ContitClient(self._http), self._store, polling=polling, now=self._now)
            if self._closing:
                self._assistant.close()
        return self._assistant

    def owner(self) -> str:
        """Who asks: a fingerprint of the credential as it is now, and of the base URL.

        Raises:
            ConfigurationError: The credential cannot be read.
        """
        self.assistant()
        assert self._credential is not None  # noqa: S101 - assistant() has set it
        return fingerprint_owner(self._credential.identity(), self._settings.base_url)

    def close(self) -> None:
        """Begin no more runs, and let every wait end now with its handle."""
        self._closing = True
        if self._assistant is not None:
            self._assistant.close()

    async def aclose(self) -> None:
        """Close the connections and files."""
        if self._store is not None:
            await self._store.aclose()
        if self._http is not None:
            await self._http.aclose()
        if isinstance(self._credential, ClientCredentialsAuth):
            await self._credential.aclose()


@asynccontextmanager
async def open_bridge(
    settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None, now: Callable[[], float] = time.time
) -> AsyncIterator[Bridge]:
    """A bridge whose connections are closed at the end."""
    bridge = Bridge(settings, transport=transport, now=now)
    try:
        yield bridge
    finally:
        await bridge.aclose()


def build_credential(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> Credential:
    """The credential that is configured.

    Raises:
        ConfigurationError: None is.
    """
    if key := settings.secret("api_key"):
        return APIKeyAuth(key)
    if token := settings.secret("access_token"):
        return AccessTokenAuth(token)
    if settings.client_id and (secret := settings.secret("client_secret")):
        http = build_http_client("", ca_file=settings.ca_file, transport=transport)
        return ClientCredentialsAuth(settings.client_id, secret, token_url=settings.token_url, http=http)
    raise ConfigurationError(
        "No Contit credential is configured.",
        hint="Set CONTIT_API_KEY (or CONTIT_API_KEY_FILE, or CONTIT_ACCESS_TOKEN) in this server's entry in the"
        " host's configuration, and restart the host.",
    )
