"""Options that commands share, the settings that result from them, and the list of all settings."""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import is_unset, load_settings
from contit_mcp.config.values import state_folder
from contit_mcp.errors import ConfigurationError
from contit_mcp.telemetry.logging import configure_logging

_LEVELS = click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)
_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help="TOML settings file.  [CONTIT_MCP_CONFIG]"),
    click.option("--base-url", metavar="URL", help="Address of Contit.  [CONTIT_BASE_URL]"),
    click.option("--log-level", type=_LEVELS, help="Level of the log on stderr.  [CONTIT_MCP_LOG_LEVEL]"),
)
_SANDBOX = {"base_url": "http://localhost", "api_key": "sandbox-key", "store": "memory"}
"""The settings of the embedded sandbox, which has no port and keeps its threads in memory until its process ends."""

_CREDENTIALS = (("api_key", "API key"), ("access_token", "access token"), ("client_secret", "OAuth2 client"))


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The settings on the command line, before the others are read."""

    config: Path | None
    base_url: str | None
    log_level: str | None

    def load(self, *, sandbox: bool = False, serves: bool = False, **more: Any) -> Settings:
        """Return the settings, with `more` of them by field name, and configure logging.

        Unless it `serves` a host, a command logs errors only, and uses the stored key if no credential is set.
        """
        overrides = {"base_url": self.base_url, "log_level": self.log_level, **more}
        environment = dict(os.environ)
        if sandbox:  # a real credential must not reach it
            overrides |= _SANDBOX
            for name in os.environ:
                if name.startswith("CONTIT_") and not name.startswith("CONTIT_MCP_"):
                    del environment[name]
        settings = load_settings(overrides, file=self.config, environment=environment)
        if not serves and settings.auth != "caller" and credential_name(settings) is None:
            settings = load_settings(overrides | _stored(settings), file=self.config, environment=environment)
        is_quiet = not serves and "log_level" not in settings.model_fields_set
        as_json = None if settings.log_format == "auto" else settings.log_format == "json"
        configure_logging("ERROR" if is_quiet else settings.log_level, as_json=as_json)
        return settings

    def arguments(self) -> tuple[str, ...]:
        """Return the options that lead another command, in another folder, to the same Contit."""
        config = ("--config", str(self.config.absolute())) if self.config else ()
        return config + (("--base-url", self.base_url) if self.base_url else ())


class WrongUsage(click.UsageError):
    """Options or arguments that do not fit together, with what to do instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def given_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that lead to the settings; the command is called with `given`."""

    @functools.wraps(command)
    def with_given(config: Path | None, base_url: str | None, log_level: str | None, **rest: Any) -> Any:
        return command(given=GivenOptions(config, base_url, log_level), **rest)

    return with_options(_OPTIONS, with_given)


def with_options(options: Iterable[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    """Add options to a command, in their order."""
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def credential_name(settings: Settings) -> str | None:
    """Return the kind of the configured credential and where it is, without any part of it; None if there is none."""
    for name, kind in _CREDENTIALS:
        if file := getattr(settings, f"{name}_file"):
            return f"{kind}, in the file {file}"
        if getattr(settings, name):
            return f"{kind}, in {Settings.model_fields[name].alias} (hidden)"
    return None


def no_credential() -> ConfigurationError:
    """Return the error for a person at a terminal. That of the tools has another hint: to edit the host's file."""
    return ConfigurationError(
        "No Contit credential is configured.",
        hint="Run contit-mcp install HOST, which asks for a key and stores it, or set CONTIT_API_KEY. Without an"
        " account: contit-mcp ask --sandbox.",
    )


def _stored(settings: Settings) -> dict[str, Any]:
    """Return the settings of the latest entry that `install` wrote with a key, except those that are set."""
    from contit_mcp.hosts.installing import stored_environment  # noqa: PLC0415 - start-up time

    names = {field.alias: name for name, field in Settings.model_fields.items()}
    found = {names[variable]: value for variable, value in stored_environment(state_folder(settings.state_dir)).items()}
    return {name: value for name, value in found.items() if name not in settings.model_fields_set}


@click.command()
def settings() -> None:
    """List every setting: its variable, its key in a settings file, its default and its meaning.

    The command line overrides the environment, which overrides the file (--config, or CONTIT_MCP_CONFIG).

    \b
    Examples:
      contit-mcp settings
      contit-mcp settings | grep WAIT
    """
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        default = str(default).lower() if isinstance(default, bool) else default
        click.echo(f"{field.alias}  ({name}{'' if is_unset(str(default or '')) else f' = {default}'})")
        click.echo(f"    {field.description}")
