"""Which host, and which of its files, a command line means."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from contit_mcp.config.settings_names import is_unset
from contit_mcp.config.state_folder import state_folder
from contit_mcp.errors import ConfigurationError
from contit_mcp.hosts.host import Host, Scope
from contit_mcp.hosts.machine import Machine
from contit_mcp.hosts.table import HOSTS

scope_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    help="For all you do, or for the project in this folder.  [user]",
)


class HostName(click.ParamType[Host]):
    """A host by its name here."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Host:
        """The host of this name; else the nearest one is named."""
        if isinstance(value, Host):
            return value
        found = HOSTS.get(str(value).lower())
        if found is not None:
            return found
        near = difflib.get_close_matches(str(value).lower(), HOSTS, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        return self.fail(f"{value!r} is no host that is known here.{meant} They are: {', '.join(HOSTS)}.", param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The hosts whose names begin like this."""
        named = [host for slug, host in HOSTS.items() if slug.startswith(incomplete)]
        return [CompletionItem(host.slug, help=host.title) for host in named]


def file_of(host: Host, scope: str | None) -> Path:
    """The file that the host reads on this machine, for its user or for this project.

    Raises:
        ConfigurationError: The host has no such file.
    """
    chosen = cast("Scope", scope or next(iter(host.files)))
    if chosen not in host.files:
        raise ConfigurationError(
            f"{host.title} keeps no file for a {chosen}.", hint=f"Leave --scope out, or name {next(iter(host.files))}."
        )
    return host.file(Machine.this(), chosen)


def our_folder() -> Path:
    """Where we remember what we wrote, and keep the key."""
    configured = os.environ.get("CONTIT_MCP_STATE_DIR")
    return state_folder(None if is_unset(configured) else Path(str(configured)).expanduser())
