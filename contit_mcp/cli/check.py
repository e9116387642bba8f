"""contit-mcp check: what is configured, and whether it works."""

import json
from functools import partial
from pathlib import Path

import anyio
import click

from contit_mcp.cli.check_callers import check_callers
from contit_mcp.cli.check_contit import check_contit
from contit_mcp.cli.check_store import check_store
from contit_mcp.cli.connection_trouble import proxy_for
from contit_mcp.cli.findings import Finding, failed, for_scripts, is_well
from contit_mcp.cli.host_choice import HostName, file_of, scope_option
from contit_mcp.cli.options import GivenOptions, given_options
from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host
from contit_mcp.telemetry.logging import configure_logging


@click.command()
@click.option("--host", type=HostName(), help="Try a host's entry: start it as the host would, and list its tools.")
@scope_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, and the findings.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An access token in a file: say whether the server would accept it (CONTIT_MCP_AUTH=jwt).",
)
@given_options
@click.pass_context
def command(
    ctx: click.Context,
    given: GivenOptions,
    *,
    host: Host | None,
    scope: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Say what is configured, and whether Contit answers and takes the credential.

    Asks for the status of a run that does not exist, without the credential and then with it: 401 and 404 mean
    that all is well. Nothing is started, and no part of a secret is shown. Where CONTIT_MCP_AUTH is token, it
    also reads the tokens. Where it is jwt, it walks the sign-in flow as a client would: this server's metadata, the
    issuer's metadata and keys, and with --token-file a token.

    With --host it looks at the entry in the host's file instead: its server is started as the host would start it,
    with the variables of the entry and not those set here.

    \b
    Examples:
      contit-mcp check
      contit-mcp check --json | jq .ok
      contit-mcp check --host claude-desktop
      CONTIT_API_KEY_FILE=~/.contit-mcp/api-key contit-mcp check

    \b
    Exit codes:
      0    all is well
      1    something is not
      2    wrong usage
    """
    try:
        if host is None:
            findings = anyio.run(_look, given.load(quiet=True), token_file)
        else:
            from contit_mcp.cli.check_host import check_host  # noqa: PLC0415 - start-up time: it brings an MCP client

            configure_logging("WARNING")  # not by the settings here: the host does not see them
            findings = anyio.run(partial(check_host, scope=scope), host, file_of(host, scope))
    except ConfigurationError as error:
        if not as_json:
            raise
        findings = [failed("Settings", error)]
    if as_json:
        click.echo(json.dumps(for_scripts(findings)))
    else:
        for finding in findings:
            click.echo(finding.lines())
    ctx.exit(0 if is_well(findings) else 1)


async def _look(settings: Settings, token_file: Path | None) -> list[Finding]:
    return [
        Finding("Proxy", proxy_for(settings.base_url) or "none"),
        Finding("Certificate authorities", _authorities(settings)),
        await check_store(settings),
        *await check_contit(settings),
        *await check_callers(settings, token_file),
    ]


def _authorities(settings: Settings) -> str:
    return f"the operating system's and {settings.ca_file}" if settings.ca_file else "the operating system's"
