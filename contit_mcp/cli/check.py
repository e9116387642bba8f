"""contit-mcp check: the configuration, and whether it works, each thing as a finding."""

import contextlib
import json
import logging
import sys
import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import anyio
import click

from contit_mcp.cli.findings import Finding, bad, check_contit, check_way, failed
from contit_mcp.cli.install import file_of, host_type, scope_option
from contit_mcp.cli.options import GivenOptions, WrongUsage, given_options
from contit_mcp.config.settings import Settings
from contit_mcp.config.values import state_folder
from contit_mcp.errors import ConfigurationError, StoreError
from contit_mcp.runs.opening import bare_store
from contit_mcp.runs.sqlite import FILE_NAME
from contit_mcp.telemetry.logging import configure_logging

_SUBJECT = "Runs are remembered in"


async def check_store(settings: Settings) -> Finding:
    """Report where runs are remembered, and whether that works. An existing store is read once."""
    where = ""
    try:
        location = settings.store_location()
        if location.kind == "memory":
            return Finding(_SUBJECT, "memory, so only until the process ends", good=True)
        folder = state_folder(settings.state_dir)
        file = location.path or folder / FILE_NAME
        location = replace(location, path=file)  # with its path given, a broken file is not set aside
        where = location.name if location.kind == "redis" else str(file)
        if location.kind == "sqlite" and not file.exists():
            there = next(folder for folder in file.parents if folder.exists())  # where missing folders would be made
            with tempfile.TemporaryFile(dir=there):  # permissions alone do not tell of read-only disks
                pass
        else:
            async with contextlib.aclosing(bare_store(location, folder=folder)) as store:
                await store.find("contit-mcp-check", "contit-mcp-check")  # a run that does not exist
    except OSError as error:
        hint = "Set CONTIT_MCP_STATE_DIR, or CONTIT_MCP_STORE=sqlite:PATH, to a folder or file of this user."
        return bad(_SUBJECT, f"{where}. Its folder cannot be written: {error.strerror}.", hint)
    except (ConfigurationError, StoreError) as error:
        return bad(_SUBJECT, f"{where}. {error.message}" if where else error.message, error.hint)
    return Finding(_SUBJECT, where, good=True)


async def check_callers(settings: Settings, token_file: Path | None = None) -> list[Finding]:
    """Report whether the HTTP server can tell its callers apart: its tokens, or the sign-in flow of its issuer."""
    if token_file is not None and settings.auth != "jwt":
        hint = "Set CONTIT_MCP_AUTH=jwt and the settings of the server that is to accept it."
        return [bad("Token", f"not checked, since CONTIT_MCP_AUTH is {settings.auth}", hint)]
    if settings.auth == "jwt":
        from contit_mcp.cli.check_sign_in import check_sign_in  # noqa: PLC0415 - start-up time

        return await check_sign_in(settings, token_file)
    if settings.auth != "token":
        return []
    try:
        number = len(settings.caller_tokens())
    except ConfigurationError as error:
        return [failed("Callers", error)]
    if not number:
        hint = "Set CONTIT_MCP_TOKENS=name:token, or CONTIT_MCP_TOKENS_FILE."
        return [bad("Callers", "CONTIT_MCP_AUTH is token, and there are no tokens", hint)]
    return [Finding("Callers", f"{number} by name", good=True)]


@click.command()
@click.option("--host", type=host_type, help="Try a host's entry: start it as the host would, and list its tools.")
@scope_option
@click.option("--trust", is_flag=True, help="With --scope project: start an entry that install did not write.")
@click.option("--token-file", type=click.Path(exists=True, path_type=Path), help="Check the access token in this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: ok, and the findings.")
@given_options
def command(
    given: GivenOptions,
    *,
    host: str | None,
    scope: str | None,
    trust: bool,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Report the configuration, whether Contit answers, and whether it accepts the credential.

    No question is asked, and no part of a secret is shown. If no credential is configured, it uses the one that
    contit-mcp install stored. With CONTIT_MCP_AUTH=token it also reads the tokens; with jwt it also reads the metadata
    and keys of the issuer, as a client would. The exit code is 0 if all is well, else 1.

    With --host it starts the server of the host's entry as the host would, with the variables of the entry and not
    those set here. An entry in a project's file may come from somebody else: if install did not write it, it is shown,
    and started only if you agree. --trust starts it without asking.

    \b
    Examples:
      contit-mcp check
      contit-mcp check --json | jq .ok
      contit-mcp check --host claude-desktop
      CONTIT_API_KEY_FILE=~/.local/state/contit-mcp/api-key contit-mcp check
    """
    if host is None and (scope or trust):
        raise WrongUsage("--scope and --trust are for the entry of a host.", "Add --host HOST.")
    if host and (token_file or given.arguments()):
        ours = "--token-file, --base-url and --config"
        raise WrongUsage(f"{ours} are not for --host: the entry has its own settings.", "Leave them out.")
    try:
        if host is None:
            findings = anyio.run(_check_all, given.load(), token_file)
        else:
            from contit_mcp.cli.check_host import check_host  # noqa: PLC0415 - start-up time: an MCP client

            configure_logging("WARNING")  # not by the settings here: the host does not see them
            logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # the findings say what is wrong
            findings = anyio.run(partial(check_host, file_of(host, scope), trust=trust, ask=not as_json))
    except ConfigurationError as error:
        if not as_json:
            raise
        findings = [failed("Settings", error)]
    is_well = all(finding.good is not False for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": is_well, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            click.echo(finding.lines())
    sys.exit(0 if is_well else 1)


async def _check_all(settings: Settings, token_file: Path | None) -> list[Finding]:
    return [
        *check_way(settings),
        await check_store(settings),
        *await check_contit(settings),
        *await check_callers(settings, token_file),
    ]
