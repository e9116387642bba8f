"""contit-mcp healthcheck: whether the HTTP server on this machine is alive, for a container's health check."""

import http.client
import ssl

import click

from contit_mcp.cli.options import settings_options
from contit_mcp.config.settings import Settings

SECONDS = 3.0
"""For the answer; it comes within milliseconds, or the server hangs. Shorter than the 5 s that the image grants."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what is listened on, not bound here


@click.command()
@click.option("--host", help="Address it listens on.  [CONTIT_MCP_HOST]")
@click.option("--port", type=int, help="Port it listens on.  [CONTIT_MCP_PORT]")
@settings_options
@click.pass_context
def command(ctx: click.Context, settings: Settings) -> None:
    """Say whether the HTTP server on this machine is alive: it answers /healthz.

    It is found by the same settings that it was started with. Whether it also takes calls, /readyz says, and whether
    Contit answers, `contit-mcp check`.

    \b
    Examples:
      contit-mcp healthcheck || echo "nothing listens there"
      contit-mcp healthcheck --port 8123 || echo "nor there"

    \b
    Exit codes:
      0    it is alive
      1    it is not
      2    wrong usage
    """
    host = _EVERYWHERE.get(settings.host.strip("[]"), settings.host)
    scheme = "http" if settings.tls_cert_file is None else "https"
    verdict = _ask(scheme, host, settings.port)
    click.echo(f"{scheme}://{host}:{settings.port}/healthz {verdict or 'answers'}.")
    ctx.exit(0 if verdict is None else 1)


def _ask(scheme: str, host: str, port: int) -> str | None:
    """What is wrong; None when all is well."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    if scheme == "https":
        # Its own certificate names the outside, not this address; and nothing secret is sent or believed.
        connection = http.client.HTTPSConnection(
            host, port, timeout=SECONDS, context=ssl._create_unverified_context()  # noqa: S323, SLF001
        )  # fmt: skip
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        return f"does not answer: {getattr(exc, 'strerror', None) or type(exc).__name__}"
    finally:
        connection.close()
    return None if status == 200 else f"answers {status}"
