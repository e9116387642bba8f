"""What a call needs: for each caller the assistant and its owner. `bridge` imports it when the first call comes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from contit_mcp.assistant.schedule import PollPolicy
from contit_mcp.assistant.service import Assistant
from contit_mcp.assistant.shutdown import Waits
from contit_mcp.config.settings import Settings
from contit_mcp.config.state_folder import state_folder
from contit_mcp.contit.auth import Credential
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.claims import ReplayPolicy
from contit_mcp.runs.opening import open_store
from contit_mcp.runs.store import RetentionPolicy, RunStore
from contit_mcp.server.owned import OwnedAssistant
from contit_mcp.server.owners import fingerprint_owner, name_owner
from contit_mcp.server.request_state import Caller, Sharing
from contit_mcp.server.task_ids import key_from
from contit_mcp.server.upstream import build_credential

if TYPE_CHECKING:
    from contit_mcp.server.handles import Sealer

MOST_CREDENTIALS = 1_000
"""Callers' own credentials that assistants are kept for; the one unused for longest goes first."""


class OpenedBridge:
    """The assistants of one process, and the store and the connections that they share.

    Args:
        settings: The configuration.
        sharing: Whose credential asks, and who is told apart.
        sealer: Makes handles, where there is a seal key.
        owner_key: Keys the fingerprints of credentials.
        waits: Where every wait is counted.
        transport: Stands in for the network.
        replay: What makes it unsure that an answer reached its caller.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sharing: Sharing,
        sealer: "Sealer | None",
        owner_key: bytes,
        waits: Waits,
        transport: httpx.AsyncBaseTransport | None,
        replay: ReplayPolicy | None,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sharing = sharing
        self._sealer = sealer
        self._owner_key = owner_key
        self._waits = waits
        self._transport = transport
        self._replay = replay
        self._now = now
        self._credential: Credential | None = None
        self._http: httpx.AsyncClient | None = None
        self._store: RunStore | None = None
        self.assistants: OrderedDict[str, Assistant] = OrderedDict()

    def for_caller(self, caller: Caller) -> OwnedAssistant:
        """The assistant that asks for this caller.

        Raises:
            ConfigurationError: No credential is configured, or the CA file or the store cannot be used.
        """
        base_url = self._settings.base_url
        if self._sharing is Sharing.BY_CREDENTIAL:
            if caller.credential is None:
                raise _unidentified()
            owner = self._fingerprint(caller.credential)
            assistant = self._assistant(caller.credential, owner)
            return OwnedAssistant(assistant, owner, self._task_sealer(caller.credential))
        if self._credential is None:
            self._credential = build_credential(self._settings, transport=self._transport)
        assistant, task_sealer = self._assistant(self._credential, ""), self._task_sealer(self._credential)
        if self._sharing is Sharing.ONE_CALLER:
            return OwnedAssistant(assistant, self._fingerprint(self._credential), task_sealer)
        if caller.principal is None or self._sealer is None:
            raise _unidentified()
        return OwnedAssistant(assistant, name_owner(caller.principal, base_url), task_sealer, self._sealer)

    async def aclose(self) -> None:
        """Close the connections and files."""
        if self._store is not None:
            await self._store.aclose()
        if self._http is not None:
            await self._http.aclose()
        if self._credential is not None:
            await self._credential.aclose()

    def _fingerprint(self, credential: Credential) -> str:
        return fingerprint_owner(credential.identity(), self._settings.base_url, key=self._owner_key)

    def _task_sealer(self, credential: Credential) -> "Callable[[], Sealer]":
        """What seals the ids of tasks: the seal key, or else a key made of the credential (see `key_from`).

        So every process with the same settings understands them, and nothing need be configured or kept for it.
        """
        return lambda: self._sealer or _sealer_of(credential)

    def _assistant(self, credential: Credential, name: str) -> Assistant:
        if (known := self.assistants.get(name)) is not None:
            self.assistants.move_to_end(name)
            return known
        assistant = Assistant(
            ContitClient(self._open_http(), auth=credential, sending=self._waits.sending),
            self._open_store(),
            polling=PollPolicy(run_seconds=self._settings.run_limit_seconds),
            replay=self._replay,
            waits=self._waits,
            now=self._now,
        )
        self.assistants[name] = assistant
        if len(self.assistants) > MOST_CREDENTIALS:
            self.assistants.popitem(last=False)
        return assistant

    def _open_http(self) -> httpx.AsyncClient:
        """One for all credentials: each of its own would keep connections open, and anyone can make up credentials."""
        if self._http is None:
            settings = self._settings
            policy = TransportPolicy(body_bytes=settings.upstream_body_bytes)
            self._http = build_http_client(
                settings.base_url, policy=policy, ca_file=settings.ca_file, transport=self._transport
            )
        return self._http

    def _open_store(self) -> RunStore:
        if self._store is None:
            self._store = open_store(
                self._settings.store_location(),
                folder=state_folder(self._settings.state_dir),
                retention=RetentionPolicy(answer=self._settings.answer_seconds),
                closing=lambda: self._waits.closing,
            )
        return self._store


def _sealer_of(credential: Credential) -> "Sealer":
    from contit_mcp.server.handles import Sealer  # noqa: PLC0415 - time of the first call: only tasks need it

    return Sealer([key_from(credential.identity())])


def _unidentified() -> ConfigurationError:
    """Fail closed: the server's own credential never serves a caller whom the transport did not identify."""
    return ConfigurationError(
        "The caller was not identified, so nothing was asked.", hint="Send the credential that this server wants."
    )
