"""The Python API: ask from a program, or serve MCP inside one. docs/python.md describes it.

The servers are imported when they are made: a program that only asks imports neither MCP nor a web framework.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

import anyio

from contit_mcp.assistant.reports import NULL_OBSERVER, Observer, RunReport
from contit_mcp.config.settings import CREDENTIAL, Settings
from contit_mcp.config.sources import load_settings, nearest, without_unset
from contit_mcp.errors import ConfigurationError
from contit_mcp.runs.record import Phase
from contit_mcp.server.context import AppContext, Caller
from contit_mcp.server.tenancy import Tenant

if TYPE_CHECKING:  # start-up time
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp

_PAUSE_SECONDS = 2.0  # before another wait, after one that gave up early because Contit could not be asked
_MARGIN_SECONDS = 60.0  # added to `run_limit_seconds` for a wait without limit, so that the run is given up first


class Options(TypedDict, total=False):
    """The settings that a program can give; docs/settings.md describes each."""

    api_key: str | None
    api_key_file: str | Path | None
    access_token: str | None
    access_token_file: str | Path | None
    client_id: str | None
    client_secret: str | None
    client_secret_file: str | Path | None
    token_url: str
    base_url: str
    ca_file: str | Path | None
    upstream_body_bytes: int
    store: str
    store_file: str | Path | None
    state_dir: str | Path | None
    run_limit_seconds: float
    answer_seconds: float
    titles: bool


class ServerOptions(Options, total=False):
    """`Options`, and what applies to a server only."""

    wait_seconds: float
    max_wait_seconds: float
    answer_part_characters: int
    task_inline_seconds: float
    card: bool


class AppOptions(ServerOptions, total=False):
    """`ServerOptions`, and what applies over HTTP only. Address, port and TLS belong to the outer application."""

    auth: Literal["none", "token", "jwt", "caller"]
    tokens: str
    tokens_file: str | Path
    seal_key: str
    seal_key_file: str | Path
    public_url: str
    jwt_issuer: str
    jwt_audience: str
    jwt_jwks_url: str
    jwt_scopes: str
    jwt_advertised_scopes: str
    jwt_header: str
    allowed_hosts: str
    allowed_origins: str
    max_body_bytes: int
    requests_per_minute: int
    calls_per_caller: int
    calls_at_once: int
    ready_probes_contit: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A question that was asked, and how far it has come."""

    status: Literal["completed", "in_progress", "failed"]
    thread_id: str  # give it to `ask` for a follow-up
    run_id: str | None  # None for an answer whose run is not known
    response: str | None = None
    elapsed_seconds: float | None = None  # from its start to its end, or to now; None if its start is not known
    age_seconds: float | None = None  # since its start, if the answer is that of an earlier call with the same question
    asked_at: float | None = None  # seconds since the epoch, if known
    title: str | None = None  # the first words of the question, if they are stored


class Assistant:
    """Contit's assistant, for use in `async with`. It asks with one credential.

    Settings that are not given are read from `environment`, such as `os.environ`; by default no environment is read.
    The methods raise the errors of `contit_mcp.errors`. The attribute `context` is not part of the public API.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None, **options: Unpack[Options]) -> None:
        self.context = AppContext(_settings("Assistant", Options, options, environment), replays=False)

    @classmethod
    def from_context(cls, context: AppContext) -> Self:
        """Return an assistant with settings that were read elsewhere, as the command line reads them."""
        assistant = cls.__new__(cls)
        assistant.context = context
        return assistant

    async def __aenter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "contit-mcp runs under asyncio only: its HTTP client, aiohttp, does.",
                hint="Call it from asyncio.run or anyio.run with the backend asyncio.",
            ) from None
        await self.context.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.context.__aexit__()

    async def ask(
        self,
        prompt: str,
        thread_id: str | None = None,
        *,
        wait_seconds: float | None = None,
        observer: Observer = NULL_OBSERVER,
    ) -> Run:
        """Ask, wait, and return the answer.

        After `wait_seconds` the run is returned as `in_progress`; None waits until it ends. The observer gets the ids
        as soon as they exist, and then the state of the run in Contit's words.
        """
        return await self._until_ended(partial(self._tenant().ask, prompt, thread_id), wait_seconds, observer)

    async def start(self, prompt: str, thread_id: str | None = None, *, wait_seconds: float = 45.0) -> Run:
        """Start a run and return its ids at once. If the thread is busy, wait up to `wait_seconds` for it."""
        return _run(await self._tenant().start(prompt, thread_id, wait_seconds=wait_seconds))

    async def status(self, thread_id: str, run_id: str, *, wait_seconds: float = 0.0) -> Run:
        """Return the state of a run; wait up to `wait_seconds` for its end. A failed run does not raise."""
        return _run(await self._tenant().status(thread_id, run_id, wait_seconds=wait_seconds))

    async def response(
        self,
        thread_id: str,
        run_id: str | None = None,
        *,
        wait_seconds: float | None = None,
        observer: Observer = NULL_OBSERVER,
    ) -> Run:
        """Return a run's own answer, waiting as `ask` does. Without a run id, use the thread's latest run."""
        return await self._until_ended(partial(self._tenant().response, thread_id, run_id), wait_seconds, observer)

    async def runs(self, limit: int = 20) -> list[Run]:
        """Return the newest remembered runs of this credential, newest first, without their answers."""
        return [_run(report) for report in await self._tenant().runs(limit)]

    def close(self) -> None:
        """End every wait now: a call whose run exists returns it as `in_progress`. No more runs are started."""
        self.context.close()

    def _tenant(self) -> Tenant:
        return self.context.services().tenant(Caller())

    async def _until_ended(
        self, call: Callable[..., Awaitable[RunReport]], wait_seconds: float | None, observer: Observer
    ) -> Run:
        """Call, and wait again if the run is reported as in progress only because Contit could not be asked."""
        if wait_seconds is None:
            wait_seconds = self.context.settings.run_limit_seconds + _MARGIN_SECONDS
        deadline = anyio.current_time() + wait_seconds
        report = await call(wait_seconds=wait_seconds, observer=observer)
        drain = self.context.services().drain
        while report.phase is Phase.IN_PROGRESS and not drain.closing:
            again_at = anyio.current_time() + _PAUSE_SECONDS
            if again_at >= deadline:
                break
            observer.status("Contit cannot be asked; trying again")
            with drain.cancellable(again_at):
                await anyio.sleep_forever()
            left = deadline - anyio.current_time()
            report = await self._tenant().response(
                report.thread_id, report.run_id, wait_seconds=left, observer=observer
            )
        return _run(report)


def create_server(
    *, environment: Mapping[str, str] | None = None, **options: Unpack[ServerOptions]
) -> "MCPServer[Any]":
    """Return an MCP server with the tools of contit-mcp, for clients in this process.

    It opens its connections when a call needs them, and closes them when its last client has left. `environment` works
    as in `Assistant`.
    """
    from contit_mcp.server.in_process import InProcessServer  # noqa: PLC0415 - start-up time

    return InProcessServer(AppContext(_settings("create_server", ServerOptions, options, environment)))


def create_app(*, environment: Mapping[str, str] | None = None, **options: Unpack[AppOptions]) -> "ASGIApp":
    """Return an ASGI application that serves MCP at `/mcp` below the path where it is mounted.

    It starts at its first request and stops with the outer application; nothing else is to be called. `environment`
    works as in `Assistant`.
    """
    from contit_mcp.http.embedded import EmbeddedApp  # noqa: PLC0415 - start-up time

    return EmbeddedApp(_settings("create_app", AppOptions, options, environment))


def _settings(name: str, known: type, options: Mapping[str, Any], environment: Mapping[str, str] | None) -> Settings:
    for option in options:
        if option not in known.__annotations__:
            near = nearest(option, known.__annotations__, cutoff=0.8)
            hint = f"Did you mean {near}?" if near else f"It takes: {', '.join(known.__annotations__)}."
            raise ConfigurationError(f"{name} does not take {option}.", hint=hint)
    settings = load_settings(without_unset(options), environment=environment or {})
    if settings.auth != "caller" and not CREDENTIAL & settings.model_fields_set:
        raise ConfigurationError(
            "No Contit credential is given.",
            hint="Pass api_key, access_token, or client_id and client_secret; or environment=os.environ to read it"
            " from CONTIT_API_KEY and the other variables.",
        )
    return settings


def _run(report: RunReport) -> Run:
    phase = report.phase
    return Run(
        "completed" if phase is Phase.COMPLETED else "failed" if phase is Phase.FAILED else "in_progress",
        report.thread_id,
        report.run_id,
        response=report.response,
        elapsed_seconds=report.elapsed_seconds,
        age_seconds=report.age_seconds,
        asked_at=report.asked_at,
        title=report.title,
    )
