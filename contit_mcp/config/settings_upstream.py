"""The settings that say where Contit is, and with which credential it is asked."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from contit_mcp.config.settings_urls import usable_url

Url = Annotated[str, AfterValidator(usable_url)]

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path as people write it: `~` is the home folder, also where no shell has seen to it."""

CREDENTIAL = frozenset(
    {
        "api_key",
        "api_key_file",
        "access_token",
        "access_token_file",
        "client_id",
        "client_secret",
        "client_secret_file",
    }
)
"""One thing in several settings."""


class UpstreamSettings(BaseModel):
    """Contit, and the one credential for it."""

    api_key: SecretStr | None = Field(
        None, alias="CONTIT_API_KEY", description="API key of a Contit client, sent as `X-Api-Key`."
    )
    api_key_file: UserPath | None = Field(
        None, alias="CONTIT_API_KEY_FILE", description="File that holds the API key; read again when it changes."
    )
    access_token: SecretStr | None = Field(
        None, alias="CONTIT_ACCESS_TOKEN", description="Personal access token (`ctpat_…`), sent as a Bearer token."
    )
    access_token_file: UserPath | None = Field(
        None, alias="CONTIT_ACCESS_TOKEN_FILE", description="File that holds the access token."
    )
    client_id: str | None = Field(None, alias="CONTIT_CLIENT_ID", description="OAuth2 client, for client credentials.")
    client_secret: SecretStr | None = Field(
        None, alias="CONTIT_CLIENT_SECRET", description="Secret of the OAuth2 client."
    )
    client_secret_file: UserPath | None = Field(
        None, alias="CONTIT_CLIENT_SECRET_FILE", description="File that holds the OAuth2 client's secret."
    )
    token_url: Url = Field(
        "https://idp.contit.cloud/connect/token",
        alias="CONTIT_TOKEN_URL",
        description="Where OAuth2 tokens come from. The vendor's pages name three hosts; this is the AI page's.",
    )
    base_url: Url = Field(
        "https://api.contit.cloud",
        alias="CONTIT_BASE_URL",
        description="Where Contit is: https, or http on this machine.",
    )
    ca_file: UserPath | None = Field(
        None,
        alias="CONTIT_CA_FILE",
        description="PEM file of further certificate authorities; the operating system's are always trusted.",
    )

    upstream_body_bytes: int = Field(
        8_388_608,
        ge=65_536,
        alias="CONTIT_MCP_UPSTREAM_BODY_BYTES",
        description="Largest body that is read from Contit or the token endpoint, also after its decompression; the"
        " longest answers known have a fraction of it.",
    )

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        ways = [
            way
            for way, is_set in (
                ("CONTIT_API_KEY", self.api_key or self.api_key_file),
                ("CONTIT_ACCESS_TOKEN", self.access_token or self.access_token_file),
                ("CONTIT_CLIENT_ID", self.client_id),
            )
            if is_set
        ]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} are both set; keep one credential")
        if bool(self.client_id) != bool(self.client_secret or self.client_secret_file):
            raise ValueError("CONTIT_CLIENT_ID and CONTIT_CLIENT_SECRET belong together; set both")
        return self
