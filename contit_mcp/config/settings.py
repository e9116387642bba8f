"""Everything that can be configured, read once: command line over environment over file over default.

The environment's names are `CONTIT_…` for the upstream and `CONTIT_MCP_…` for the server; the file's keys are
the same words in lower case without the prefix (`base_url`, `wait_seconds`).
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from contit_mcp.config.secret_value import SecretValue
from contit_mcp.config.settings_file import read_settings_file
from contit_mcp.config.settings_http import HttpSettings, parse_tokens, split_list
from contit_mcp.config.settings_names import (
    explain,
    is_unset,
    refuse_unknown_environment,
    without_service_links,
    without_unset,
)
from contit_mcp.config.settings_store import StoreLocation, parse_store
from contit_mcp.config.settings_upstream import CREDENTIAL, UpstreamSettings, UserPath
from contit_mcp.errors import ConfigurationError


def _usable_store(value: SecretStr) -> SecretStr:
    parse_store(value.get_secret_value())
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


_GROUPS = (
    CREDENTIAL,
    frozenset({"store", "store_file"}),
    frozenset({"tokens", "tokens_file"}),
    frozenset({"seal_key", "seal_key_file"}),
)
"""Each is one thing in several settings: a source that sets any of a group replaces all of it."""


_SECRETS = {
    "api_key": "CONTIT_",
    "access_token": "CONTIT_",
    "client_secret": "CONTIT_",
    "tokens": "CONTIT_MCP_",
    "seal_key": "CONTIT_MCP_",
}
"""What must not be shown, and can stand in a file, with the prefix of its variable."""


class Settings(HttpSettings, UpstreamSettings, BaseSettings):
    """How contit-mcp is configured. Every default has its reason beside it."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    store: Annotated[SecretStr, AfterValidator(_usable_store)] = Field(
        SecretStr("sqlite"),
        alias="CONTIT_MCP_STORE",
        description="Where runs are remembered: `sqlite` (a file in the state folder, shared by all processes of this"
        " user), `sqlite:PATH`, `redis://…` or `rediss://…` (shared by replicas), or `memory` (this process only).",
    )
    store_file: UserPath | None = Field(
        None, alias="CONTIT_MCP_STORE_FILE", description="File that holds the store's URL, where it has a password."
    )
    state_dir: UserPath | None = Field(
        None,
        alias="CONTIT_MCP_STATE_DIR",
        description="Folder for what outlives a process. Not set: the user's state folder"
        " (`~/.local/state/contit-mcp` on Linux).",
    )
    wait_seconds: float | None = Field(
        None,
        ge=1,
        le=3_600,
        alias="CONTIT_MCP_WAIT_SECONDS",
        description="How long a call waits for an answer. Not set: what fits the host that asks (45 s for most).",
    )
    max_wait_seconds: float = Field(
        240.0,
        ge=1,
        le=3_600,
        alias="CONTIT_MCP_MAX_WAIT_SECONDS",
        description="The longest wait that a caller can ask for. 240 s is under the 300 s of the patient hosts.",
    )
    run_limit_seconds: float = Field(
        1_800.0,
        ge=60,
        alias="CONTIT_MCP_RUN_LIMIT_SECONDS",
        description="A run that shows no end for so long is given up as failed. The vendor names no limit.",
    )
    answer_seconds: float = Field(
        3_600.0,
        ge=0,
        alias="CONTIT_MCP_ANSWER_SECONDS",
        description="How long an answer is kept after its run ended; an hour covers every host's retry, 0 keeps none.",
    )
    answer_part_characters: int = Field(
        60_000,
        ge=1_000,
        alias="CONTIT_MCP_ANSWER_PART_CHARACTERS",
        description="The longest part of an answer in one result. Hosts cut a result at about 100,000 characters; a"
        " longer answer is returned in parts.",
    )
    task_inline_seconds: float = Field(
        8.0,
        ge=0,
        le=240,
        alias="CONTIT_MCP_TASK_INLINE_SECONDS",
        description="How long `contit_ask` waits before it returns a task, for clients that support tasks. A quick"
        " answer is returned at once; Claude Code moves every task to the background.",
    )
    titles: bool = Field(
        True,  # noqa: FBT003 - a default, not an argument
        alias="CONTIT_MCP_TITLES",
        description="Whether the first words of a question are stored as the title of its conversation, where one"
        " person uses the server (stdio, `none`). They are never stored in other modes.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", alias="CONTIT_MCP_LOG_LEVEL", description="What is logged to stderr: one line a run and a call at INFO."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", alias="CONTIT_MCP_LOG_FORMAT", description="`auto` is JSON unless stderr is a terminal."
    )

    _secrets: dict[str, SecretValue] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Our own sources, given by `load_settings`, are all there is."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name, prefix in (*_SECRETS.items(), ("store", "CONTIT_MCP_")):
            if name in self.model_fields_set and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{prefix}{name.upper()} and {prefix}{name.upper()}_FILE are both set; keep one")
        return self

    def secret(self, name: str) -> SecretValue | None:
        """One of the secrets, from its value or its file, always the same object; None when it is not set."""
        value: SecretStr | None = getattr(self, name)
        file: Path | None = getattr(self, f"{name}_file")
        if value is None and file is None:
            return None
        if name not in self._secrets:
            text = value.get_secret_value().strip() if value else None
            self._secrets[name] = SecretValue(f"{_SECRETS[name]}{name.upper()}", value=text, file=file)
        return self._secrets[name]

    def seal_keys(self) -> list[str]:
        """The seal keys; the first seals.

        Raises:
            ConfigurationError: Their file cannot be read.
        """
        secret = self.secret("seal_key")
        return [] if secret is None else split_list(secret.reveal())

    def caller_tokens(self) -> dict[str, str]:
        """Callers' tokens by name, as they are now.

        Raises:
            ConfigurationError: Their file cannot be read, or holds something else.
        """
        secret = self.secret("tokens")
        return {} if secret is None else _understood(parse_tokens, secret.reveal(), self.tokens_file)

    def store_location(self) -> StoreLocation:
        """Where runs are remembered.

        Raises:
            ConfigurationError: The file that holds it cannot be read, or holds something else.
        """
        if self.store_file is None:
            return parse_store(self.store.get_secret_value())
        return _understood(parse_store, SecretValue("CONTIT_MCP_STORE", file=self.store_file).reveal(), self.store_file)


CONFIG_VARIABLE = "CONTIT_MCP_CONFIG"
"""Names the settings file where no option does: for containers, and for hosts that set variables only."""

T = TypeVar("T")


def _understood(parse: Callable[[str], T], text: str, file: Path | None) -> T:
    """What a secret means; the error says what is wrong with it and not what it is."""
    try:
        return parse(text)
    except ValueError as exc:
        problem = str(exc)
    raise ConfigurationError(f"The text of {file} {problem}.", hint="docs/settings.md says how it is written.")


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from all sources.

    Args:
        overrides: From the command line, by field name; None means not given.
        file: The TOML file of `--config`; without it the one that `CONTIT_MCP_CONFIG` names, if it does.
        environment: The process's by default.

    Raises:
        ConfigurationError: A value cannot be used, a name is unknown, or the file cannot be read.
    """
    environment = without_service_links(os.environ if environment is None else environment)
    names = {name: field.alias or name for name, field in Settings.model_fields.items()}
    refuse_unknown_environment(environment, known=[*names.values(), CONFIG_VARIABLE])
    if file is None and not is_unset(named := environment.get(CONFIG_VARIABLE)):
        file = Path(str(named).strip()).expanduser()
    values: dict[str, Any] = {}
    for source in (
        read_settings_file(file, known=names) if file else {},
        without_unset({name: environment.get(variable) for name, variable in names.items()}),
        {name: value for name, value in (overrides or {}).items() if value is not None},
    ):
        for group in _GROUPS:
            if not group.isdisjoint(source):
                values = {name: value for name, value in values.items() if name not in group}
        values |= source
    try:
        return Settings(**values)
    except ValidationError as exc:
        # Not chained: pydantic's text can quote the value, which may be a secret.
        message = explain(exc, names)
    raise ConfigurationError(message, hint="docs/settings.md lists every setting with its meaning and default.")
