"""Settings: where a value comes from, what is refused, and that no error shows a secret."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from contit_mcp.errors import ConfigurationError

EVERY_NAME: dict[str, tuple[str, str, object]] = {
    # variable: (field and file key, what is written, what it becomes)
    "CONTIT_MCP_ANSWER_PART_CHARACTERS": ("answer_part_characters", "90000", 90_000),
    "CONTIT_MCP_TASK_INLINE_SECONDS": ("task_inline_seconds", "3", 3.0),
    "CONTIT_MCP_TITLES": ("titles", "false", False),
    "CONTIT_MCP_CARD": ("card", "off", False),
    "CONTIT_API_KEY": ("api_key", "the-key", "the-key"),
    "CONTIT_API_KEY_FILE": ("api_key_file", "/run/secrets/key", Path("/run/secrets/key")),
    "CONTIT_ACCESS_TOKEN": ("access_token", "ctpat_abc", "ctpat_abc"),
    "CONTIT_ACCESS_TOKEN_FILE": ("access_token_file", "/run/secrets/token", Path("/run/secrets/token")),
    "CONTIT_CLIENT_ID": ("client_id", "my-client", "my-client"),
    "CONTIT_CLIENT_SECRET": ("client_secret", "s3cret", "s3cret"),
    "CONTIT_CLIENT_SECRET_FILE": ("client_secret_file", "/run/secrets/client", Path("/run/secrets/client")),
    "CONTIT_TOKEN_URL": ("token_url", "https://id.contit.cloud/connect/token", "https://id.contit.cloud/connect/token"),
    "CONTIT_BASE_URL": ("base_url", "https://contit.example/", "https://contit.example"),
    "CONTIT_MCP_UPSTREAM_BODY_BYTES": ("upstream_body_bytes", "65536", 65_536),
    "CONTIT_CA_FILE": ("ca_file", "/etc/ssl/company.pem", Path("/etc/ssl/company.pem")),
    "CONTIT_MCP_STORE": ("store", "memory", "memory"),
    "CONTIT_MCP_STORE_FILE": ("store_file", "/run/store", Path("/run/store")),
    "CONTIT_MCP_STATE_DIR": ("state_dir", "/var/state", Path("/var/state")),
    "CONTIT_MCP_WAIT_SECONDS": ("wait_seconds", "30", 30.0),
    "CONTIT_MCP_MAX_WAIT_SECONDS": ("max_wait_seconds", "120.5", 120.5),
    "CONTIT_MCP_RUN_LIMIT_SECONDS": ("run_limit_seconds", "600", 600.0),
    "CONTIT_MCP_ANSWER_SECONDS": ("answer_seconds", "0", 0.0),
    "CONTIT_MCP_LOG_LEVEL": ("log_level", "DEBUG", "DEBUG"),
    "CONTIT_MCP_LOG_FORMAT": ("log_format", "json", "json"),
    "CONTIT_MCP_HOST": ("host", "0.0.0.0", "0.0.0.0"),
    "CONTIT_MCP_PORT": ("port", "80", 80),
    "CONTIT_MCP_PUBLIC_URL": ("public_url", "https://mcp.example/mcp", "https://mcp.example/mcp"),
    "CONTIT_MCP_AUTH": ("auth", "token", "token"),
    "CONTIT_MCP_TOKENS": ("tokens", f"ann:{'t' * 20}", f"ann:{'t' * 20}"),
    "CONTIT_MCP_TOKENS_FILE": ("tokens_file", "/run/tokens", Path("/run/tokens")),
    "CONTIT_MCP_JWT_ISSUER": ("jwt_issuer", "https://idp.example", "https://idp.example"),
    "CONTIT_MCP_JWT_AUDIENCE": ("jwt_audience", "mcp", "mcp"),
    "CONTIT_MCP_JWT_JWKS_URL": ("jwt_jwks_url", "https://idp.example/keys", "https://idp.example/keys"),
    "CONTIT_MCP_JWT_SCOPES": ("jwt_scopes", "ask,read", "ask,read"),
    "CONTIT_MCP_JWT_ADVERTISED_SCOPES": ("jwt_advertised_scopes", "api://x/ask", "api://x/ask"),
    "CONTIT_MCP_JWT_HEADER": ("jwt_header", "Cf-Access-Jwt-Assertion", "Cf-Access-Jwt-Assertion"),
    "CONTIT_MCP_SEAL_KEY": ("seal_key", "k" * 32, "k" * 32),
    "CONTIT_MCP_SEAL_KEY_FILE": ("seal_key_file", "/run/seal", Path("/run/seal")),
    "CONTIT_MCP_ALLOWED_HOSTS": ("allowed_hosts", "mcp.example", "mcp.example"),
    "CONTIT_MCP_ALLOWED_ORIGINS": ("allowed_origins", "https://app.example", "https://app.example"),
    "CONTIT_MCP_TRUSTED_PROXIES": ("trusted_proxies", "10.0.0.0/8", "10.0.0.0/8"),
    "CONTIT_MCP_TLS_CERT_FILE": ("tls_cert_file", "/run/cert.pem", Path("/run/cert.pem")),
    "CONTIT_MCP_TLS_KEY_FILE": ("tls_key_file", "/run/key.pem", Path("/run/key.pem")),
    "CONTIT_MCP_MAX_BODY_BYTES": ("max_body_bytes", "2048", 2048),
    "CONTIT_MCP_REQUESTS_PER_MINUTE": ("requests_per_minute", "60", 60),
    "CONTIT_MCP_CALLS_PER_CALLER": ("calls_per_caller", "5", 5),
    "CONTIT_MCP_CALLS_AT_ONCE": ("calls_at_once", "50", 50),
    "CONTIT_MCP_METRICS_PORT": ("metrics_port", "9100", 9100),
    "CONTIT_MCP_READY_PROBES_CONTIT": ("ready_probes_contit", "true", True),
}
NEEDS_A_PARTNER = {
    "CONTIT_CLIENT_ID": {"CONTIT_CLIENT_SECRET": "s3cret"},
    "CONTIT_CLIENT_SECRET": {"CONTIT_CLIENT_ID": "my-client"},
    "CONTIT_CLIENT_SECRET_FILE": {"CONTIT_CLIENT_ID": "my-client"},
}


def load(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read settings from this environment only."""
    return load_settings(overrides, environment=environment or {})


def plain(value: object) -> object:
    """A setting's value, secrets revealed."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def write(folder: Path, text: str) -> Path:
    """Write a settings file."""
    file = folder / "contit-mcp.toml"
    file.write_text(text, encoding="utf-8")
    return file


# --- Where a value comes from ------------------------------------------------------------------------------------


def test_the_table_has_every_setting() -> None:
    """A new setting must be added to the table above."""
    assert {field.alias for field in Settings.model_fields.values()} == set(EVERY_NAME)
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("variable", EVERY_NAME)
def test_every_setting_is_read_from_the_environment(variable: str) -> None:
    """Under the name that users write."""
    field, written, meant = EVERY_NAME[variable]
    settings = load({variable: written, **NEEDS_A_PARTNER.get(variable, {})})
    assert plain(getattr(settings, field)) == meant


@pytest.mark.parametrize("variable", EVERY_NAME)
def test_every_setting_is_read_from_the_file(variable: str, tmp_path: Path) -> None:
    """The same words in lower case without the prefix."""
    field, written, meant = EVERY_NAME[variable]
    others = {EVERY_NAME[name][0]: value for name, value in NEEDS_A_PARTNER.get(variable, {}).items()}
    text = "".join(f'{key} = "{value}"\n' for key, value in {field: written, **others}.items())
    assert plain(getattr(load_settings(file=write(tmp_path, text), environment={}), field)) == meant


def test_numbers_of_the_file_need_no_quotes(tmp_path: Path) -> None:
    """TOML has numbers."""
    settings = load_settings(file=write(tmp_path, "wait_seconds = 30\nanswer_seconds = 0.5\n"), environment={})
    assert (settings.wait_seconds, settings.answer_seconds) == (30.0, 0.5)


def test_without_anything_set_there_are_defaults_and_no_credential() -> None:
    """The documented addresses, and waits that fit the host (documented)."""
    settings = load()
    assert settings.base_url == "https://api.contit.cloud"
    assert settings.token_url == "https://idp.contit.cloud/connect/token"
    assert (settings.wait_seconds, settings.max_wait_seconds) == (None, 240.0)
    assert (settings.run_limit_seconds, settings.answer_seconds) == (1_800.0, 3_600.0)
    assert (settings.log_level, settings.log_format, settings.store_location().kind) == ("INFO", "auto", "sqlite")
    assert [settings.secret(name) for name in ("api_key", "access_token", "client_secret")] == [None] * 3


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """In this order, each setting by itself."""
    file = write(tmp_path, 'wait_seconds = 1\nmax_wait_seconds = 11\nbase_url = "https://file.test"\n')
    environment = {"CONTIT_MCP_WAIT_SECONDS": "2", "CONTIT_MCP_MAX_WAIT_SECONDS": "12"}
    settings = load_settings({"wait_seconds": 3.0, "base_url": None}, file=file, environment=environment)
    assert (settings.wait_seconds, settings.max_wait_seconds, settings.base_url) == (3.0, 12.0, "https://file.test")


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read at import."""
    monkeypatch.setenv("CONTIT_BASE_URL", "https://process.test")
    assert load_settings().base_url == "https://process.test"


def test_other_sources_of_pydantic_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment behind our back nor a .env file of the working folder."""
    (tmp_path / ".env").write_text("CONTIT_BASE_URL=https://dotenv.test\nBASE_URL=https://dotenv.test\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTIT_BASE_URL", "https://process.test")
    monkeypatch.setenv("BASE_URL", "https://process.test")
    assert load({}).base_url == "https://api.contit.cloud"


UNSET = [
    "", " ", "\t\n", "${user_config.api_key}", "${CONTIT_API_KEY}", " ${env:CONTIT_API_KEY} ", "${input:key}",
    "${{ secrets.KEY }}", "%CONTIT_API_KEY%", "{env:CONTIT_API_KEY}", "$CONTIT_API_KEY", "${}",
]  # fmt: skip


@pytest.mark.parametrize("value", UNSET)
def test_blank_values_and_unfilled_placeholders_mean_not_set(value: str, tmp_path: Path) -> None:
    """Hosts pass them on when their user left a field empty."""
    assert load(dict.fromkeys(EVERY_NAME, value)) == load()
    assert load({"CONTIT_MCP_UNHEARD_OF": value}) == load()
    quoted = value.replace("\t", "\\t").replace("\n", "\\n")
    text = "".join(f'{field} = "{quoted}"\n' for field, _, _ in EVERY_NAME.values())
    assert load_settings(file=write(tmp_path, text), environment={}) == load()


@pytest.mark.parametrize("value", ["$ecret", "100%", "a${b}c", "${a}${b}", "%a", "{}", "$", "x $CONTIT_API_KEY"])
def test_what_only_resembles_a_placeholder_is_a_value(value: str) -> None:
    """A secret can have any character."""
    assert plain(load({"CONTIT_API_KEY": value}).api_key) == value


def test_a_blank_variable_does_not_hide_the_file(tmp_path: Path) -> None:
    """It is not set, so the file counts."""
    file = write(tmp_path, 'base_url = "https://file.test"\n')
    assert load_settings(file=file, environment={"CONTIT_BASE_URL": " "}).base_url == "https://file.test"


@pytest.mark.parametrize(("name", "written"), [(name, written) for name, (_, written, _) in EVERY_NAME.items()])
def test_white_space_around_a_value_is_dropped(name: str, written: str, tmp_path: Path) -> None:
    """A copied value often ends in a line break."""
    field, _, meant = EVERY_NAME[name]
    partner = NEEDS_A_PARTNER.get(name, {})
    settings = load({name: f" {written}\r\n", **partner})
    assert plain(getattr(settings, field)) == meant
    others = {EVERY_NAME[other][0]: value for other, value in partner.items()}
    text = "".join(f'{key} = " {value}\\n"\n' for key, value in {field: written, **others}.items())
    assert plain(getattr(load_settings(file=write(tmp_path, text), environment={}), field)) == meant


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING", " error "])
def test_a_log_level_can_be_written_in_any_case(level: str) -> None:
    """As on the command line."""
    assert load({"CONTIT_MCP_LOG_LEVEL": level}).log_level == level.strip().upper()


# --- What is refused ---------------------------------------------------------------------------------------------

MARKER = "s3cr3t-marker"

REFUSED_VALUES = [
    ("CONTIT_MCP_WAIT_SECONDS", MARKER),
    ("CONTIT_MCP_WAIT_SECONDS", "0.9"),
    ("CONTIT_MCP_WAIT_SECONDS", "3601"),
    ("CONTIT_MCP_WAIT_SECONDS", "-1"),
    ("CONTIT_MCP_WAIT_SECONDS", "nan"),
    ("CONTIT_MCP_WAIT_SECONDS", "inf"),
    ("CONTIT_MCP_MAX_WAIT_SECONDS", "0.9"),
    ("CONTIT_MCP_MAX_WAIT_SECONDS", "3601"),
    ("CONTIT_MCP_RUN_LIMIT_SECONDS", "59.9"),
    ("CONTIT_MCP_RUN_LIMIT_SECONDS", "inf"),
    ("CONTIT_MCP_RUN_LIMIT_SECONDS", "nan"),
    ("CONTIT_MCP_ANSWER_SECONDS", "-0.1"),
    ("CONTIT_MCP_ANSWER_SECONDS", "inf"),
    ("CONTIT_MCP_LOG_LEVEL", MARKER),
    ("CONTIT_MCP_LOG_LEVEL", "TRACE"),
    ("CONTIT_MCP_LOG_FORMAT", MARKER),
    ("CONTIT_MCP_STORE", MARKER),
    ("CONTIT_BASE_URL", MARKER),
    ("CONTIT_TOKEN_URL", f"https://user:{MARKER}@id.contit.cloud/connect/token"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED_VALUES)
def test_a_value_that_cannot_be_used_is_named_but_not_quoted(name: str, value: str) -> None:
    """A secret may have been put into the wrong setting."""
    with pytest.raises(ConfigurationError) as caught:
        load({name: value})
    assert name in caught.value.message
    assert_tells_nothing_of(MARKER, caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTIT_MCP_WAIT_SECONDS", "1"),
        ("CONTIT_MCP_WAIT_SECONDS", "3600"),
        ("CONTIT_MCP_MAX_WAIT_SECONDS", "1"),
        ("CONTIT_MCP_MAX_WAIT_SECONDS", "3600"),
        ("CONTIT_MCP_RUN_LIMIT_SECONDS", "60"),
        ("CONTIT_MCP_ANSWER_SECONDS", "0"),
    ],
)
def test_the_bounds_themselves_are_allowed(name: str, value: str) -> None:
    """As they are documented."""
    assert getattr(load({name: value}), EVERY_NAME[name][0]) == float(value)


def assert_tells_nothing_of(secret: str, error: BaseException) -> None:
    """Neither the error nor anything chained to it holds the secret; no ValidationError is chained at all."""
    chain: BaseException | None = error
    while chain is not None:
        told = f"{chain!s} {chain!r} {chain.args} {getattr(chain, 'message', '')} {getattr(chain, 'hint', '')} {vars(chain)}"
        assert secret not in told
        assert not isinstance(chain, ValidationError | UnicodeDecodeError | tomllib.TOMLDecodeError)
        chain = chain.__cause__ or chain.__context__


CREDENTIALS = {"CONTIT_API_KEY": MARKER, "CONTIT_ACCESS_TOKEN": MARKER, "CONTIT_CLIENT_SECRET": MARKER}


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"CONTIT_API_KEY": MARKER, "CONTIT_ACCESS_TOKEN": MARKER}, ["CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN"]),
        ({"CONTIT_API_KEY_FILE": MARKER, "CONTIT_ACCESS_TOKEN": MARKER}, ["CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN"]),
        ({"CONTIT_API_KEY": MARKER, "CONTIT_CLIENT_ID": "c", "CONTIT_CLIENT_SECRET": MARKER}, ["CONTIT_CLIENT_ID"]),
        ({"CONTIT_API_KEY": MARKER, "CONTIT_API_KEY_FILE": "/f"}, ["CONTIT_API_KEY_FILE"]),
        ({"CONTIT_ACCESS_TOKEN": MARKER, "CONTIT_ACCESS_TOKEN_FILE": "/f"}, ["CONTIT_ACCESS_TOKEN_FILE"]),
        (
            {"CONTIT_CLIENT_ID": "c", "CONTIT_CLIENT_SECRET": MARKER, "CONTIT_CLIENT_SECRET_FILE": "/f"},
            ["CONTIT_CLIENT_SECRET_FILE"],
        ),
        ({"CONTIT_CLIENT_ID": "c"}, ["CONTIT_CLIENT_SECRET"]),
        ({"CONTIT_CLIENT_SECRET": MARKER}, ["CONTIT_CLIENT_ID"]),
        ({"CONTIT_CLIENT_SECRET_FILE": "/f"}, ["CONTIT_CLIENT_ID"]),
        ({"CONTIT_API_KEY": MARKER, "CONTIT_CLIENT_SECRET": MARKER}, ["CONTIT_CLIENT_ID"]),
        ({**CREDENTIALS, "CONTIT_CLIENT_ID": "c"}, ["CONTIT_API_KEY", "CONTIT_ACCESS_TOKEN", "CONTIT_CLIENT_ID"]),
    ],
)
def test_settings_that_contradict_each_other_are_named(environment: dict[str, str], names: list[str]) -> None:
    """One credential, from one place; nothing is chosen silently."""
    with pytest.raises(ConfigurationError) as caught:
        load(environment)
    assert all(name in caught.value.message for name in names)
    assert_tells_nothing_of(MARKER, caught.value)


def test_a_credential_of_a_higher_source_replaces_that_of_a_lower_one(tmp_path: Path) -> None:
    """Environment over file also where they name different kinds."""
    file = write(tmp_path, 'access_token = "ctpat_of-the-file"\n')
    settings = load_settings(file=file, environment={"CONTIT_API_KEY": MARKER})
    assert settings.access_token is None
    assert settings.api_key is not None


def test_every_problem_is_told_at_once() -> None:
    """An error lists all problems at once."""
    with pytest.raises(ConfigurationError) as caught:
        load({"CONTIT_MCP_WAIT_SECONDS": "soon", "CONTIT_BASE_URL": "ftp://x"})
    assert "CONTIT_MCP_WAIT_SECONDS" in caught.value.message
    assert "CONTIT_BASE_URL" in caught.value.message
    assert "\n" not in caught.value.message
    assert "contit-mcp settings" in caught.value.hint


def test_an_unknown_override_is_refused() -> None:
    """A command-line option of ours that no setting has is our bug, and it shows."""
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        load({}, no_such_setting=1)


# --- The secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_key", "access_token", "client_secret"])
def test_a_secret_comes_from_its_value_or_its_file(name: Any, tmp_path: Path) -> None:
    """Under its setting's name, for messages."""
    variable, partner = f"CONTIT_{name.upper()}", {"CONTIT_CLIENT_ID": "c"} if name == "client_secret" else {}
    from_value = load({variable: f" {MARKER}\n", **partner}).secret(name)
    (tmp_path / "secret").write_text(f"{MARKER}\n")
    from_file = load({f"{variable}_FILE": str(tmp_path / "secret"), **partner}).secret(name)
    for secret in (from_value, from_file):
        assert secret is not None
        assert (secret.name, secret.reveal()) == (variable, MARKER)
        assert MARKER not in repr(secret)


def test_settings_do_not_show_their_secrets() -> None:
    """Neither printed, nor dumped, nor copied."""
    settings = load({"CONTIT_CLIENT_ID": "c", "CONTIT_CLIENT_SECRET": MARKER})
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {settings.model_copy()!r}"
    assert MARKER not in shown


def test_settings_cannot_be_changed() -> None:
    """They are read once."""
    settings = load({"CONTIT_API_KEY": MARKER})
    with pytest.raises(ValidationError) as caught:
        settings.base_url = "https://other.test"  # type: ignore[misc]
    assert MARKER not in str(caught.value)


def test_a_tilde_is_the_home_folder_also_where_no_shell_has_seen_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts start us without one."""
    monkeypatch.setenv("HOME", "/home/you")
    monkeypatch.setenv("USERPROFILE", "/home/you")
    assert load({"CONTIT_MCP_STATE_DIR": "~/state"}).state_dir == Path("/home/you/state")
    assert load({"CONTIT_API_KEY_FILE": "~/key"}).api_key_file == Path("/home/you/key")
