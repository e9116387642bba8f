"""Options that commands share, and the settings that come of them."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from contit_mcp.logging import configure_logging
from contit_mcp.settings import Settings, load_settings

_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML settings file (configs/contit-mcp.toml).",
    ),
    click.option("--base-url", help="Where Contit is.  [CONTIT_BASE_URL]"),
    click.option("--wait-seconds", type=float, help="How long a call waits.  [CONTIT_MCP_WAIT_SECONDS]"),
    click.option(
        "--log-level",
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
        help="What goes to stderr.  [CONTIT_MCP_LOG_LEVEL]",
    ),
)

SANDBOX_SETTINGS = {"base_url": "http://localhost", "api_key": "sandbox-key", "store": "memory"}
"""What the embedded sandbox stands behind: it answers in memory, on no port, and forgets with its process."""


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; it is called with `settings`, and logging is configured."""

    @functools.wraps(command)
    def with_settings(
        config: Path | None, base_url: str | None, wait_seconds: float | None, log_level: str | None, **rest: Any
    ) -> Any:
        overrides: dict[str, Any] = {
            "base_url": base_url,
            "wait_seconds": wait_seconds,
            "log_level": log_level.upper() if log_level else None,
        }
        environment = None
        if rest.get("sandbox"):
            # The sandbox takes its own key only, and a real one has no business there.
            overrides |= SANDBOX_SETTINGS
            environment = without_upstream()
        settings = load_settings(overrides, file=config, environment=environment)
        apply_logging(settings)
        return command(settings=settings, **rest)

    for option in reversed(_OPTIONS):
        with_settings = option(with_settings)
    return with_settings


def without_upstream() -> dict[str, str]:
    """The environment without what says where Contit is and with which credential."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONTIT_") or "_MCP_" in name}


def apply_logging(settings: Settings) -> None:
    """Configure logging as the settings say, and mask what is secret in them."""
    configure_logging(
        settings.log_level,
        as_json=None if settings.log_format == "auto" else settings.log_format == "json",
        secrets=settings.secrets(),
    )
