"""The commands that serve, and two for operators: contit-mcp stdio, http, healthcheck and handle."""

import importlib
import importlib.util
import os
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.to_thread
import click

from contit_mcp.cli.options import GivenOptions, credential_name, given_options, no_credential
from contit_mcp.cli.sandbox import embedded_sandbox
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError, InvalidArgumentError
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import create_server
from contit_mcp.server.stdio import serve_stdio
from contit_mcp.telemetry.logging import get_logger

if TYPE_CHECKING:
    import httpx

Transport: TypeAlias = "httpx.AsyncBaseTransport | None"
log = get_logger(__name__)

END_SECONDS = 1.0  # for calls in flight to return their ids; waits end at once. Hosts kill 2 s after they ask.

_probe_option = click.option("--probe", is_flag=True, help="Add contit_probe: it measures how long a call may last.")
_wait_option = click.option(
    "--wait-seconds", type=click.FloatRange(1, 3_600), help="How long a call waits.  [CONTIT_MCP_WAIT_SECONDS]"
)
_host_option = click.option("--host", help="The server's address.  [CONTIT_MCP_HOST]")
_port_option = click.option("--port", type=click.IntRange(0, 65_535), help="The server's port.  [CONTIT_MCP_PORT]")


@click.command()
@embedded_sandbox
@_probe_option
@_wait_option
@given_options
def stdio(given: GivenOptions, *, transport: Transport, probe: bool, **more: Any) -> None:
    """Serve MCP over stdin and stdout, for a host on this machine.

    A host starts this command, with CONTIT_API_KEY_FILE from the entry that `contit-mcp install` writes. Without a
    credential it also starts and lists its tools, and each call returns an error that says what to set.

    \b
    Examples:
      contit-mcp stdio --sandbox < /dev/null     starts, and ends with its input
    """
    settings = given.load(serves=True, sandbox=transport is not None, **more)
    if sys.stdin.isatty():
        click.echo("Waiting for a host to write to stdin; Ctrl-C ends it.", err=True)
    anyio.run(partial(_serve_stdio, settings, transport, probe=probe))


async def _serve_stdio(settings: Settings, transport: Transport, *, probe: bool) -> None:
    stdin_ended = anyio.Event()
    async with AppContext(settings, transport=transport) as context, anyio.create_task_group() as group:
        server = create_server(context, probe=probe)
        if sys.platform != "win32":
            group.start_soon(_drain_at_a_signal, context)
        group.start_soon(_exit_after, stdin_ended)
        group.start_soon(_import_services, context)
        await serve_stdio(server, stdin_ended=stdin_ended)
        group.cancel_scope.cancel()


async def _import_services(context: AppContext) -> None:
    """Once the tools are listed, import what the first call needs: hosts list them and then wait for their users."""
    await context.tools_listed.wait()
    await anyio.sleep(0.2)  # the answer is on its way before the imports take the processor
    await anyio.to_thread.run_sync(importlib.import_module, "contit_mcp.server.services", abandon_on_cancel=True)


async def _drain_at_a_signal(context: AppContext) -> None:
    """Let every call return its ids when a signal comes, and then end the process."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for received in signals:
            log.info("server.stopping", cause=received.name, calls_in_flight=context.calls_in_flight)
            context.close()
            with anyio.move_on_after(END_SECONDS):
                while context.calls_in_flight:
                    await anyio.sleep(0.01)
                await anyio.sleep(0.1)  # the last results are on their way through the writer
            _exit_now()


async def _exit_after(stdin_ended: anyio.Event) -> None:
    """End the process when stdin has ended, even if a call does not stop in time."""
    await stdin_ended.wait()
    log.debug("server.stopping", cause="stdin ended")
    await anyio.sleep(END_SECONDS)
    _exit_now()


def _exit_now() -> None:
    """End the process although a thread still waits for stdin, which no exception can wake."""
    sys.stderr.flush()
    os._exit(0)


@click.command()
@embedded_sandbox
@_host_option
@_port_option
@_probe_option
@_wait_option
@given_options
def http(given: GivenOptions, *, transport: Transport, probe: bool, **more: Any) -> None:
    """Serve MCP over Streamable HTTP at /mcp.

    By default it accepts calls from this machine only. For other machines, set CONTIT_MCP_AUTH to token, jwt or
    caller (contit-mcp settings). It also serves /healthz, /readyz and /metrics. On SIGTERM each waiting call returns
    its ids, with which another replica returns the answer.

    \b
    Examples:
      contit-mcp http --sandbox --port 8123        try it without an account; Ctrl-C ends it
    """
    from contit_mcp.http.serve import refuse_unsafe, serve_http  # noqa: PLC0415 - start-up time of stdio
    from contit_mcp.telemetry.tracing import exported_traces  # noqa: PLC0415

    settings = given.load(serves=True, sandbox=transport is not None, **more)
    if transport is None and settings.auth != "caller" and credential_name(settings) is None:
        raise no_credential()
    for name in ("api_key", "access_token", "client_secret"):
        if secret := settings.secret(name):
            secret.reveal()  # an unreadable file fails here, not at the first call
    refuse_unsafe(settings, sandbox=transport is not None)
    uvloop = importlib.util.find_spec("uvloop") is not None
    with ExitStack() as stack:
        try:
            stack.enter_context(exported_traces())
        except Exception as error:  # noqa: BLE001 - OpenTelemetry raises errors of many kinds for odd variables
            log.warning("tracing.not_exported", error=type(error).__name__, hint="Check the OTEL_ variables.")
        anyio.run(serve_http, settings, transport, probe, backend_options={"use_uvloop": uvloop})


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - what is listened on, not bound here


@click.command()
@_host_option
@_port_option
@given_options
def healthcheck(given: GivenOptions, *, host: str | None, port: int | None) -> None:
    """Report whether the HTTP server on this machine is alive: whether it answers /healthz.

    Run it with the settings of the server, which have its address. /readyz says whether the server takes calls, and
    `contit-mcp check` whether Contit answers.

    \b
    Examples:
      contit-mcp healthcheck || echo "nothing listens there"
      contit-mcp healthcheck --port 8123 || echo "nothing on port 8123"
    """
    import httpx  # noqa: PLC0415 - start-up time of stdio

    settings = given.load(serves=True, host=host, port=port)
    scheme = "http" if settings.tls_cert_file is None else "https"
    near = settings.host.strip("[]")
    near = _EVERYWHERE.get(near, f"[{near}]" if ":" in near else near)
    url = f"{scheme}://{near}:{settings.port}/healthz"
    try:
        # Its certificate names the public host, not this address; and nothing secret is sent or believed.
        status = httpx.get(url, timeout=3.0, verify=False, trust_env=False).status_code  # noqa: S501
        verdict = "answers" if status == 200 else f"answers {status}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reasons = {"ConnectError": "no connection is possible", "InvalidURL": "it is not an address"}
        reasons |= {"ConnectTimeout": "it takes too long", "ReadTimeout": "it takes too long"}
        verdict = f"does not answer: {reasons.get(type(error).__name__, 'what came back is not HTTP')}"
    click.echo(f"{url} {verdict}.")
    sys.exit(0 if verdict == "answers" else 1)


_AS_THE_SERVER = "Set CONTIT_MCP_SEAL_KEY as the server has it."


@click.command()
@click.argument("handle")
@given_options
def handle(given: GivenOptions, *, handle: str) -> None:
    """Decrypt a handle that a caller reports (h1_...), and print Contit's ids, to search the log for them.

    The keys in CONTIT_MCP_SEAL_KEY decrypt the handles of all callers. If none is set, it decrypts the ids of tasks,
    with a key derived from the credential. Nothing is sent to Contit.

    \b
    Examples:
      contit-mcp handle h1_5kD2... || echo "sealed with another key"
    """
    from contit_mcp.server.services import configured_credential  # noqa: PLC0415 - start-up time of stdio
    from contit_mcp.server.tasks import TaskId  # noqa: PLC0415
    from contit_mcp.server.tenancy import Sealer, sealer_of_credential  # noqa: PLC0415

    settings = given.load()
    try:
        keys = settings.seal_keys()
        sealer = Sealer(keys) if keys else sealer_of_credential(configured_credential(settings).identity())
    except ConfigurationError as exc:
        raise ConfigurationError(f"No key can open it: {str(exc).rstrip('.')}.", hint=_AS_THE_SERVER) from exc
    opened = sealer.reveal(handle.strip())
    if opened is None:
        hint = f"Copy the whole handle, from h1_ to its end. {_AS_THE_SERVER}"
        raise InvalidArgumentError("None of the keys opens this handle: it was cut, or sealed with another.", hint=hint)
    kind, _, text = opened
    lines = {f"{kind}_id": text}
    if kind == "task":
        task = TaskId.read(text)
        asked_at = datetime.fromtimestamp(task.created_at, UTC).isoformat(timespec="seconds")
        lines = {"asked_at": asked_at, "thread_id": task.thread_id, "run_id": task.run_id}
    for name, value in {"kind": kind, **lines}.items():
        click.echo(f"{name}: {value}")
