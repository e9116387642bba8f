"""Which credential is configured, told without any part of it."""

from contit_mcp.config.settings import Settings
from contit_mcp.errors import ConfigurationError

_KINDS = (("api_key", "API key"), ("access_token", "access token"), ("client_secret", "OAuth2 client"))


def credential_name(settings: Settings) -> str | None:
    """Its kind and where it comes from; None where there is none."""
    for name, kind in _KINDS:
        if file := getattr(settings, f"{name}_file"):
            return f"{kind}, from the file {file}"
        if getattr(settings, name):
            return f"{kind}, set (hidden)"
    return None


def no_credential() -> ConfigurationError:
    """The error for a person at a terminal; hosts are told where their configuration wants it."""
    return ConfigurationError(
        "No Contit credential is configured.",
        hint="Set CONTIT_API_KEY, CONTIT_API_KEY_FILE or CONTIT_ACCESS_TOKEN, or name a settings file with --config.",
    )
