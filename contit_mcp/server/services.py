"""The services behind the tools: Contit's client, the store, the credential, and the assistant of each caller."""

from collections import OrderedDict
from typing import TYPE_CHECKING

import httpx

from contit_mcp.assistant.service import Assistant
from contit_mcp.assistant.waiting import DrainScope, PollPolicy
from contit_mcp.config.settings import Settings
from contit_mcp.config.values import state_folder
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth, ClientCredentialsAuth, Credential
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import Backoff
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.opening import open_store
from contit_mcp.runs.store import RetentionPolicy, RunStore
from contit_mcp.server.tenancy import Sealer, Tenant, owner_of_credential, owner_of_name, sealer_of_credential
from contit_mcp.telemetry.call_stats import NULL_LISTENER

if TYPE_CHECKING:
    from contit_mcp.server.context import AppContext, Caller

MOST_CREDENTIALS = 1_000  # mode `caller`: one assistant is kept for each; the least recently used is dropped first
NAMED_MODES = ("token", "jwt")  # callers have names, share the server's credential, and see handles instead of ids
_NO_SEAL_KEY = b"contit-mcp"  # the HMAC key of owners without a seal key, and of owners in handles; not secret


class Services:
    """The parts that the calls of one process share. The client and the store are made when they are first used."""

    def __init__(self, context: "AppContext") -> None:
        self.drain = DrainScope()
        self._context = context
        self._settings = context.settings
        self._store = context.store
        keys = context.settings.seal_keys()
        self._sealer = Sealer(keys) if keys else None
        self._owner_key = keys[-1].encode() if keys else _NO_SEAL_KEY  # owners stay when a new key is put first
        self._credential: Credential | None = None
        self._http: httpx.AsyncClient | None = None
        self._assistants: OrderedDict[str, tuple[Assistant, Backoff]] = OrderedDict()

    def tenant(self, caller: "Caller") -> Tenant:
        """Return the owner of this caller with its assistant; raise ConfigurationError for an unidentified caller."""
        auth, base_url = self._context.auth, self._settings.base_url
        credential = caller.credential
        if auth != "caller":
            if self._credential is None:
                self._credential = configured_credential(self._settings, transport=self._context.transport)
            credential = self._credential
        named = auth in NAMED_MODES
        unnamed = named and (caller.principal is None or self._sealer is None)
        if credential is None or unnamed:  # a stranger is never served with the server's own credential
            raise ConfigurationError(
                "The caller was not identified, so nothing was asked.",
                hint="Send the credential that this server requires.",
            )
        identity = credential.identity()

        def owner_with(key: bytes) -> str:
            if named:
                return owner_of_name(auth, caller.issuer or "", caller.principal or "", base_url, key=key)
            return owner_of_credential(identity, base_url, key=key)

        owner = owner_with(self._owner_key)
        return Tenant(
            self._assistant(credential, cache_key=owner if auth == "caller" else ""),
            owner,
            owner if self._owner_key == _NO_SEAL_KEY else owner_with(_NO_SEAL_KEY),
            task_sealer=lambda: self._sealer or sealer_of_credential(identity),
            sealer=self._sealer if named else None,
            keeps_titles=auth == "none" and self._settings.titles,
        )

    def store(self) -> RunStore:
        """Return the store of runs."""
        if self._store is None:
            self._store = open_store(
                self._settings.store_location(),
                folder=state_folder(self._settings.state_dir),
                retention=RetentionPolicy(answer=self._settings.answer_seconds),
                listener=self._context.metrics or self._context.store_listener,
            )
        return self._store

    def http_client(self) -> httpx.AsyncClient:
        """Return the client of all requests to Contit. Raises ConfigurationError for a CA file that cannot be used."""
        if self._http is None:
            self._http = _http_client(self._settings.base_url, self._settings, self._context.transport)
        return self._http

    def backoff_stretch(self) -> float:
        """Return the highest factor, of all credentials, by which pauses grow while Contit is overloaded or away."""
        return max((backoff.stretch for _, backoff in self._assistants.values()), default=1.0)

    async def aclose(self) -> None:
        """Close the connections and files. The next call opens them again; a store in memory keeps its runs."""
        closing = (self._store, self._http, self._credential)
        self._http = self._credential = None
        self._assistants.clear()
        for each in closing:
            if each is not None:
                await each.aclose()

    def _assistant(self, credential: Credential, *, cache_key: str) -> Assistant:
        """Return the assistant of a credential. All share one HTTP client: callers can make up any number of them."""
        if (known := self._assistants.get(cache_key)) is not None:
            self._assistants.move_to_end(cache_key)
            return known[0]
        reachability = self._context.reachability
        client = ContitClient(
            self.http_client(), auth=credential, sending=self.drain.sending, reachability=reachability
        )
        assistant = Assistant(
            client,
            self.store(),
            polling=PollPolicy(run_seconds=self._settings.run_limit_seconds),
            replays=self._context.replays,
            drain=self.drain,
            listener=self._context.metrics or NULL_LISTENER,
        )
        self._assistants[cache_key] = assistant, client.backoff
        if len(self._assistants) > MOST_CREDENTIALS:
            self._assistants.popitem(last=False)
        return assistant


def _http_client(base_url: str, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    policy = TransportPolicy(body_bytes=settings.upstream_body_bytes)
    return build_http_client(base_url, policy=policy, ca_file=settings.ca_file, transport=transport)


def configured_credential(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> Credential:
    """Return the credential of the settings; raise ConfigurationError if there is none."""
    if key := settings.secret("api_key"):
        return APIKeyAuth(key)
    if token := settings.secret("access_token"):
        return AccessTokenAuth(token)
    if settings.client_id and (secret := settings.secret("client_secret")):
        http = _http_client("", settings, transport)
        return ClientCredentialsAuth(settings.client_id, secret, token_url=settings.token_url, http=http)
    raise ConfigurationError(
        "No Contit credential is configured.",
        hint="Set CONTIT_API_KEY (or CONTIT_API_KEY_FILE, or CONTIT_ACCESS_TOKEN) in this server's entry in the host's"
        " configuration, and restart the host.",
    )
