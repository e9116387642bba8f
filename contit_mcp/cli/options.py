"""Options that commands share, and the settings that come of them."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from contit_mcp.config.settings import Settings, load_settings
from contit_mcp.telemetry.logging import configure_logging

_GIVEN = (
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML settings file (configs/contit-mcp.toml).  [CONTIT_MCP_CONFIG]",
    ),
    click.option("--base-url", metavar="URL", help="Where Contit is.  [CONTIT_BASE_URL]"),
    click.option(
        "--log-level",
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
        help="What goes to stderr.  [CONTIT_MCP_LOG_LEVEL]",
    ),
)
_WAIT = click.option("--wait-seconds", type=float, help="How long a call waits.  [CONTIT_MCP_WAIT_SECONDS]")

probe_option = click.option(
    "--probe", is_flag=True, help="Offer contit_probe too, which measures how long your host lets a call take."
)

SANDBOX_SETTINGS = {"base_url": "http://localhost", "api_key": "sandbox-key", "store": "memory"}
"""What the embedded sandbox stands behind: it answers in memory, on no port, and forgets with its process."""


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """What the command line says of the settings, before they are read."""

    config: Path | None
    base_url: str | None
    log_level: str | None
    wait_seconds: float | None = None

    def load(self, *, sandbox: bool = False, quiet: bool = False, **more: Any) -> Settings:
        """Read the settings and configure logging by them.

        Args:
            more: Further settings by field name; None means not given.
            sandbox: Stand before the embedded sandbox, whatever else is configured.
            quiet: Log from WARNING on where no level is set: people want the answer, hosts keep a log.

        Raises:
            ConfigurationError: The settings cannot be used.
        """
        overrides: dict[str, Any] = {
            "base_url": self.base_url,
            "wait_seconds": self.wait_seconds,
            "log_level": self.log_level.upper() if self.log_level else None,
            **more,
        }
        environment = None
        if sandbox:
            # The sandbox takes its own key only, and a real one has no business there.
            overrides |= SANDBOX_SETTINGS
            environment = without_upstream()
        settings = load_settings(overrides, file=self.config, environment=environment)
        unset = "log_level" not in settings.model_fields_set
        apply_logging(settings, level="WARNING" if quiet and unset else settings.log_level)
        return settings

    def arguments(self) -> tuple[str, ...]:
        """The options that lead another command, in another folder, to the same Contit."""
        config = ("--config", str(self.config.absolute())) if self.config else ()
        return config + (("--base-url", self.base_url) if self.base_url else ())


def given_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """For commands that people wait for: it is called with `given`, and reads the settings itself."""

    @functools.wraps(command)
    def with_given(config: Path | None, base_url: str | None, log_level: str | None, **rest: Any) -> Any:
        return command(given=GivenOptions(config, base_url, log_level), **rest)

    return _with(_GIVEN, with_given)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """For commands that serve hosts: it is called with `settings`, and logging is configured."""

    @functools.wraps(command)
    def with_settings(
        config: Path | None, base_url: str | None, wait_seconds: float | None, log_level: str | None, **rest: Any
    ) -> Any:
        given = GivenOptions(config, base_url, log_level, wait_seconds)
        more = {name: rest.pop(name) for name in ("host", "port") if name in rest}
        return command(settings=given.load(sandbox=bool(rest.get("sandbox")), **more), **rest)

    return _with((*_GIVEN[:2], _WAIT, *_GIVEN[2:]), with_settings)


def _with(options: tuple[Callable[..., Any], ...], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def without_upstream() -> dict[str, str]:
    """The environment without what says where Contit is and with which credential."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_") or "_MCP_" in name}


def apply_logging(settings: Settings, *, level: str | None = None) -> None:
    """Configure logging as the settings say; `level` replaces theirs."""
    configure_logging(
        level or settings.log_level,
        as_json=None if settings.log_format == "auto" else settings.log_format == "json",
    )
