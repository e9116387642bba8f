"""Settings: where a value comes from, what is refused, and that no error shows a secret."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from contit_mcp.errors import ConfigurationError

PATHS = (
    "api_key_file access_token_file client_secret_file ca_file store_file state_dir tokens_file seal_key_file tls_cert_file"
    " tls_key_file"
).split()
EVERY_SETTING: dict[str, tuple[str, object]] = {
    # key in the file: (what is written, what it becomes)
    **{name: ("/run/x", Path("/run/x")) for name in PATHS},
    "answer_part_characters": ("90000", 90_000),
    "task_inline_seconds": ("3", 3.0),
    "titles": ("false", False),
    "card": ("off", False),
    "api_key": ("the-key", "the-key"),
    "access_token": ("ctpat_abc", "ctpat_abc"),
    "client_id": ("my-client", "my-client"),
    "client_secret": ("s3cret", "s3cret"),
    "token_url": ("https://id.contit.cloud/connect/token", "https://id.contit.cloud/connect/token"),
    "base_url": ("https://contit.example/", "https://contit.example"),
    "upstream_body_bytes": ("65536", 65_536),
    "store": ("memory", "memory"),
    "wait_seconds": ("30", 30.0),
    "max_wait_seconds": ("120.5", 120.5),
    "run_limit_seconds": ("600", 600.0),
    "answer_seconds": ("0", 0.0),
    "log_level": ("debug", "DEBUG"),
    "log_format": ("json", "json"),
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("80", 80),
    "public_url": ("https://mcp.example/mcp", "https://mcp.example/mcp"),
    "auth": ("token", "token"),
    "tokens": (f"ann:{'t' * 20}", f"ann:{'t' * 20}"),
    "jwt_issuer": ("https://idp.example/", "https://idp.example/"),
    "jwt_audience": ("mcp", "mcp"),
    "jwt_jwks_url": ("https://idp.example/keys?app=1", "https://idp.example/keys?app=1"),
    "jwt_scopes": ("ask,read", "ask,read"),
    "jwt_advertised_scopes": ("api://x/ask", "api://x/ask"),
    "jwt_header": ("Cf-Access-Jwt-Assertion", "Cf-Access-Jwt-Assertion"),
    "seal_key": ("k" * 32, "k" * 32),
    "allowed_hosts": ("mcp.example", "mcp.example"),
    "allowed_origins": ("https://app.example,http://localhost:*", "https://app.example,http://localhost:*"),
    "trusted_proxies": ("10.0.0.0/8,::1", "10.0.0.0/8,::1"),
    "max_body_bytes": ("2048", 2048),
    "requests_per_minute": ("60", 60),
    "calls_per_caller": ("5", 5),
    "calls_at_once": ("50", 50),
    "metrics_port": ("9100", 9100),
    "ready_probes_contit": ("true", True),
}
CONTITS = "api_key api_key_file access_token access_token_file client_id client_secret client_secret_file token_url base_url ca_file"  # fmt: skip
VARIABLES = {name: f"{'CONTIT_' if name in CONTITS.split() else 'CONTIT_MCP_'}{name.upper()}" for name in EVERY_SETTING}
PARTNERS = {
    "client_id": {"client_secret": "s3cret"},
    "client_secret": {"client_id": "my-client"},
    "client_secret_file": {"client_id": "my-client"},
}
MARKER = "s3cr3t-marker"


def load(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read settings from this environment only."""
    return load_settings(overrides, environment=environment or {})


def from_file(folder: Path, text: str, environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read settings from a file with this text and from this environment."""
    file = folder / "contit-mcp.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(overrides, file=file, environment=environment or {})


def plain(value: object) -> object:
    """A setting's value, secrets revealed."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


# --- Where a value comes from ------------------------------------------------------------------------------------


def test_the_table_has_every_setting_under_the_name_that_users_write() -> None:
    assert {name: field.alias for name, field in Settings.model_fields.items()} == {
        name: VARIABLES.get(name) for name in Settings.model_fields
    }
    assert Settings.model_fields.keys() == VARIABLES.keys()
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("name", EVERY_SETTING)
def test_every_setting_is_read_from_the_environment_and_the_file_without_white_space_around_it(
    name: str, tmp_path: Path
) -> None:
    written, meant = EVERY_SETTING[name]
    given = {name: written, **PARTNERS.get(name, {})}
    text = "".join(f'{key} = " {value}\\n"\n' for key, value in given.items())
    for settings in (
        load({VARIABLES[key]: f" {value}\r\n" for key, value in given.items()}),
        from_file(tmp_path, text),
    ):
        assert plain(getattr(settings, name)) == meant


def test_numbers_of_the_file_need_no_quotes(tmp_path: Path) -> None:
    settings = from_file(tmp_path, "wait_seconds = 30\nanswer_seconds = 0.5\n")
    assert (settings.wait_seconds, settings.answer_seconds) == (30.0, 0.5)


def test_without_anything_set_there_are_the_documented_defaults_and_no_credential() -> None:
    settings = load()
    assert settings.base_url == "https://api.contit.cloud"
    assert settings.token_url == "https://idp.contit.cloud/connect/token"
    assert (settings.wait_seconds, settings.max_wait_seconds) == (None, 240.0)
    assert (settings.run_limit_seconds, settings.answer_seconds) == (1_800.0, 3_600.0)
    assert (settings.log_level, settings.log_format, settings.store_location().kind) == ("INFO", "auto", "sqlite")
    assert [settings.secret(name) for name in ("api_key", "access_token", "client_secret")] == [None] * 3


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    text = 'wait_seconds = 1\nmax_wait_seconds = 11\nbase_url = "https://file.test"\n'
    environment = {"CONTIT_MCP_WAIT_SECONDS": "2", "CONTIT_MCP_MAX_WAIT_SECONDS": "12", "CONTIT_BASE_URL": " "}
    settings = from_file(tmp_path, text, environment, wait_seconds=3.0, base_url=None)
    assert (settings.wait_seconds, settings.max_wait_seconds, settings.base_url) == (3.0, 12.0, "https://file.test")


def test_the_environment_of_the_process_is_the_default_and_no_dotenv_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CONTIT_BASE_URL=https://dotenv.test\nCONTIT_TOKEN_URL=https://dotenv.test\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTIT_BASE_URL", "https://process.test")
    monkeypatch.setenv("TOKEN_URL", "https://process.test")
    assert load_settings().base_url == "https://process.test"
    assert load_settings().token_url == load({}).token_url
    assert load({}).base_url == "https://api.contit.cloud"


@pytest.mark.parametrize(
    "value",
    ["", " ", "\t\n", "${user_config.api_key}", " ${env:CONTIT_API_KEY} ", "${input:key}", "${{ secrets.KEY }}",
     "%CONTIT_API_KEY%", "{env:CONTIT_API_KEY}", "$CONTIT_API_KEY", "${}", "null", " undefined "],
)  # fmt: skip
def test_blank_values_and_unfilled_placeholders_mean_not_set(value: str, tmp_path: Path) -> None:
    """Also what JavaScript makes of a field that was left blank (seen in mcpb 2.1.2)."""
    assert load(dict.fromkeys(VARIABLES.values(), value)) == load()
    assert load({"CONTIT_MCP_UNHEARD_OF": value, "CONTIT_API_KEYS": value, "CONTIT_MCP_CONFIG": value}) == load()
    quoted = value.replace("\t", "\\t").replace("\n", "\\n")
    assert from_file(tmp_path, "".join(f'{name} = "{quoted}"\n' for name in EVERY_SETTING)) == load()


@pytest.mark.parametrize("value", ["$ecret", "100%", "a${b}c", "${a}${b}", "%a", "{}", "$", "x $CONTIT_API_KEY"])
def test_what_only_resembles_a_placeholder_is_a_value(value: str) -> None:
    assert plain(load({"CONTIT_API_KEY": value}).api_key) == value


def test_a_credential_of_a_higher_source_replaces_that_of_a_lower_one(tmp_path: Path) -> None:
    settings = from_file(tmp_path, 'access_token = "ctpat_of-the-file"\n', {"CONTIT_API_KEY": MARKER})
    assert settings.access_token is None
    assert settings.api_key is not None


def test_a_tilde_is_the_home_folder_also_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/you")
    monkeypatch.setenv("USERPROFILE", "/home/you")
    assert load({"CONTIT_MCP_STATE_DIR": "~/state"}).state_dir == Path("/home/you/state")
    assert load({"CONTIT_API_KEY_FILE": "~/key"}).api_key_file == Path("/home/you/key")


# --- What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CONTIT_MCP_WAIT_SECONDS", [MARKER, "0.9", "3601", "-1", "nan", "inf"]),
        ("CONTIT_MCP_MAX_WAIT_SECONDS", ["0.9", "3601"]),
        ("CONTIT_MCP_RUN_LIMIT_SECONDS", ["59.9", "inf", "nan"]),
        ("CONTIT_MCP_ANSWER_SECONDS", ["-0.1", "inf"]),
        ("CONTIT_MCP_LOG_LEVEL", [MARKER, "TRACE"]),
        ("CONTIT_MCP_LOG_FORMAT", [MARKER]),
        ("CONTIT_MCP_JWT_SCOPES", ['a "b"', "x" * 257]),
        ("CONTIT_MCP_ALLOWED_ORIGINS", ["https://app.example/", "app.example"]),
        ("CONTIT_MCP_TRUSTED_PROXIES", ["10.0.0.0/40", "proxy.example"]),
        ("CONTIT_BASE_URL", [MARKER, "x\udce9"]),
        ("CONTIT_TOKEN_URL", [f"https://user:{MARKER}@id.contit.cloud/connect/token"]),
    ],
)
def test_a_value_that_cannot_be_used_is_named_but_a_secret_is_not_quoted(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(ConfigurationError) as caught:
            load({name: value})
        assert name in caught.value.message
        assert_tells_nothing_of(MARKER, caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("wait_seconds", 1), ("wait_seconds", 3600), ("max_wait_seconds", 1), ("run_limit_seconds", 60), ("answer_seconds", 0)],
)  # fmt: skip
def test_the_bounds_themselves_are_allowed(name: str, value: int) -> None:
    assert getattr(load({VARIABLES[name]: str(value)}), name) == value


def assert_tells_nothing_of(secret: str, error: BaseException) -> None:
    """Neither the error nor anything chained to it holds the secret; no ValidationError is chained at all."""
    chain: BaseException | None = error
    while chain is not None:
        told = f"{chain!s} {chain!r} {chain.args} {getattr(chain, 'message', '')} {getattr(chain, 'hint', '')} {vars(chain)}"
        assert secret not in told
        assert not isinstance(chain, ValidationError | UnicodeDecodeError | tomllib.TOMLDecodeError)
        chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("api_key access_token", "CONTIT_API_KEY CONTIT_ACCESS_TOKEN"),
        ("api_key_file access_token", "CONTIT_API_KEY CONTIT_ACCESS_TOKEN"),
        ("api_key client_id client_secret", "CONTIT_API_KEY CONTIT_CLIENT_ID"),
        ("api_key access_token client_id client_secret", "CONTIT_API_KEY CONTIT_ACCESS_TOKEN CONTIT_CLIENT_ID"),
        ("api_key api_key_file", "CONTIT_API_KEY_FILE"),
        ("client_id client_secret client_secret_file", "CONTIT_CLIENT_SECRET_FILE"),
        ("seal_key seal_key_file", "CONTIT_MCP_SEAL_KEY_FILE"),
        ("store store_file", "CONTIT_MCP_STORE_FILE"),
        ("client_id", "CONTIT_CLIENT_SECRET"),
        ("client_secret", "CONTIT_CLIENT_ID"),
        ("client_secret_file", "CONTIT_CLIENT_ID"),
        ("api_key client_secret", "CONTIT_CLIENT_ID"),
    ],
)
def test_settings_that_contradict_each_other_are_named(given: str, named: str) -> None:
    """One credential, from one place; nothing is chosen silently."""
    with pytest.raises(ConfigurationError) as caught:
        load({VARIABLES[name]: "memory" if name == "store" else MARKER for name in given.split()})
    assert all(name in caught.value.message for name in named.split())
    assert_tells_nothing_of(MARKER, caught.value)


def test_every_problem_is_told_at_once_in_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"CONTIT_MCP_WAIT_SECONDS": "soon", "CONTIT_BASE_URL": "ftp://x"})
    assert "CONTIT_MCP_WAIT_SECONDS" in caught.value.message
    assert "CONTIT_BASE_URL" in caught.value.message
    assert "\n" not in caught.value.message
    assert "contit-mcp settings" in caught.value.hint


# --- The secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_key", "access_token", "client_secret", "seal_key", "tokens"])
def test_a_secret_comes_from_its_value_or_its_file_and_is_never_shown(name: str, tmp_path: Path) -> None:
    secret = f"anna:{MARKER}-of-20-letters" if name == "tokens" else MARKER
    partner = {"CONTIT_CLIENT_ID": "c"} if name == "client_secret" else {}
    (tmp_path / "secret").write_text(f"{secret}\n")
    for given in ({VARIABLES[name]: f" {secret}\n"}, {f"{VARIABLES[name]}_FILE": str(tmp_path / "secret")}):
        settings = load(given | partner)
        value = settings.secret(name)
        assert value is not None
        assert (value.name, value.reveal()) == (VARIABLES[name], secret)
        shown = (
            f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {settings.model_copy()!r}"
        )
        assert MARKER not in f"{shown} {value!r} {value} {[value]}"


def test_settings_cannot_be_changed() -> None:
    settings = load({"CONTIT_API_KEY": MARKER})
    with pytest.raises(ValidationError) as caught:
        settings.base_url = "https://other.test"  # type: ignore[misc]
    assert MARKER not in str(caught.value)
