"""The credential for Contit that the settings describe."""

import httpx

from contit_mcp.config.settings import Settings
from contit_mcp.contit.auth import AccessTokenAuth, APIKeyAuth, ClientCredentialsAuth, Credential
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from contit_mcp.errors import ConfigurationError


def build_credential(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> Credential:
    """Return the configured credential.

    Raises:
        ConfigurationError: There is none.
    """
    if key := settings.secret("api_key"):
        return APIKeyAuth(key)
    if token := settings.secret("access_token"):
        return AccessTokenAuth(token)
    if settings.client_id and (secret := settings.secret("client_secret")):
        policy = TransportPolicy(body_bytes=settings.upstream_body_bytes)
        http = build_http_client("", policy=policy, ca_file=settings.ca_file, transport=transport)
        return ClientCredentialsAuth(settings.client_id, secret, token_url=settings.token_url, http=http)
    raise ConfigurationError(
        "No Contit credential is configured.",
        hint="Set CONTIT_API_KEY (or CONTIT_API_KEY_FILE, or CONTIT_ACCESS_TOKEN) in this server's entry in the"
        " host's configuration, and restart the host.",
    )
