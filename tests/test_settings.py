"""Settings: the sources of a value, refused values, and the forms of secrets, stores and addresses."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Timer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.settings import Settings
from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import LOOPBACK, SecretValue, StoreLocation, parse_store, state_folder, usable_url
from contit_mcp.errors import ConfigurationError

# By variable: the written value, and that of the setting.
EXAMPLES: dict[str, tuple[str, object]] = {
    "CONTIT_API_KEY": ("the-key", "the-key"),
    "CONTIT_BASE_URL": ("https://contit.example/", "https://contit.example"),
    "CONTIT_MCP_WAIT_SECONDS": ("1", 1.0),  # the bounds themselves are allowed
    "CONTIT_MCP_MAX_WAIT_SECONDS": ("3600", 3600.0),
    "CONTIT_MCP_RUN_LIMIT_SECONDS": ("60", 60.0),
    "CONTIT_MCP_ANSWER_SECONDS": ("0", 0.0),
    "CONTIT_MCP_LOG_LEVEL": ("debug", "DEBUG"),
    "CONTIT_MCP_CARD": ("off", False),
    "CONTIT_MCP_JWT_ISSUER": ("https://idp.example/", "https://idp.example/"),
    "CONTIT_MCP_JWT_JWKS_URL": ("https://idp.example/keys?app=1", "https://idp.example/keys?app=1"),
    "CONTIT_MCP_TRUSTED_PROXIES": ("10.0.0.0/8,::1", "10.0.0.0/8,::1"),
}
VARIABLES = {name: field.alias or "" for name, field in Settings.model_fields.items()}
NAMES = {variable: name for name, variable in VARIABLES.items()}
MARKER = "MARKER"  # stands for a secret, which no error may show


def load(environment: Mapping[str, str] | None = None, file: Path | None = None, **overrides: object) -> Settings:
    """Read settings from this environment and file only."""
    return load_settings(overrides, file=file, environment=environment or {})


def refused(environment: Mapping[str, str] | None = None, file: Path | None = None) -> ConfigurationError:
    """Return the error for this environment and file, which does not show the marker and has no cause that could."""
    with pytest.raises(ConfigurationError) as caught:
        load(environment, file)
    error = caught.value
    assert MARKER not in f"{error!r}{error.message}{error.hint}{vars(error)}"
    assert error.__cause__ is error.__context__ is None
    return error


def write(folder: Path, text: str) -> Path:
    """Write a settings file."""
    file = folder / "contit-mcp.toml"
    file.write_bytes(text.encode())
    return file


def plain(value: object) -> object:
    """A setting's value, secrets revealed."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


# --- Where a value comes from


def test_every_setting_has_a_variable_of_its_name_and_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.alias in {f"CONTIT_{name.upper()}", f"CONTIT_MCP_{name.upper()}"}
        assert field.description


@pytest.mark.parametrize("variable", EXAMPLES)
def test_a_setting_is_read_from_the_environment_and_the_file(variable: str, tmp_path: Path) -> None:
    """White space around it is dropped."""
    written, meant = EXAMPLES[variable]
    file = write(tmp_path, f'{NAMES[variable]} = " {written}\\n"\n')
    for settings in (load({variable: f" {written}\r\n"}), load(file=file)):
        assert plain(getattr(settings, NAMES[variable])) == meant


def test_without_anything_set_there_are_the_documented_defaults_and_no_credential(tmp_path: Path) -> None:
    settings = load()
    assert settings.base_url == "https://api.contit.cloud"
    assert settings.token_url == "https://idp.contit.cloud/connect/token"
    assert (settings.wait_seconds, settings.max_wait_seconds) == (None, 240.0)
    assert (settings.run_limit_seconds, settings.answer_seconds) == (1_800.0, 3_600.0)
    assert (settings.log_level, settings.log_format, settings.store_location().kind) == ("INFO", "auto", "sqlite")
    assert [settings.secret(name) for name in ("api_key", "access_token", "client_secret")] == [None] * 3
    assert load(file=write(tmp_path, "# nothing yet\n")) == load()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """A credential replaces one of another form. Numbers in the file need no quotes; a byte order mark is ignored."""
    text = '\ufeffwait_seconds = 1\r\nmax_wait_seconds = 11\r\nbase_url = "https://file.test"\r\naccess_token = "t"\r\n'
    file = write(tmp_path, text)
    environment = {"CONTIT_MCP_WAIT_SECONDS": "2", "CONTIT_MCP_MAX_WAIT_SECONDS": "12", "CONTIT_BASE_URL": " "}
    settings = load(environment | {"CONTIT_API_KEY": MARKER}, file, wait_seconds=3.0, base_url=None)
    assert (settings.access_token, plain(settings.api_key)) == (None, MARKER)
    assert (settings.wait_seconds, settings.max_wait_seconds, settings.base_url) == (3.0, 12.0, "https://file.test")


def test_a_variable_names_the_file_where_no_option_does(tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text("wait_seconds = 30\n")
    environment = {"CONTIT_MCP_CONFIG": str(named)}
    assert load(environment).wait_seconds == 30
    assert load(environment | {"CONTIT_MCP_WAIT_SECONDS": "40"}).wait_seconds == 40
    assert load(environment, write(tmp_path, "wait_seconds = 20\n")).wait_seconds == 20
    error = refused({"CONTIT_MCP_CONFIG": str(tmp_path / "nowhere.toml")})
    assert "cannot be read: No such file or directory." in error.message
    assert "--config or CONTIT_MCP_CONFIG" in error.hint


def test_a_tilde_is_the_home_folder_also_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, "/home/you")
    assert load({"CONTIT_MCP_STATE_DIR": "~/state"}).state_dir == Path("/home/you/state")
    assert load({"CONTIT_API_KEY_FILE": "~/key"}).api_key_file == Path("/home/you/key")


@pytest.mark.parametrize(
    "value",
    ["", " ", "\t\n", "${user_config.api_key}", " ${env:CONTIT_API_KEY} ", "${input:key}", "${{ secrets.KEY }}",
     "%CONTIT_API_KEY%", "{env:CONTIT_API_KEY}", "$CONTIT_API_KEY", "${}", "null", " undefined "],
)  # fmt: skip
def test_blank_values_and_unfilled_placeholders_mean_not_set(value: str, tmp_path: Path) -> None:
    """So do the words that JavaScript writes for a field that was left blank (seen in mcpb 2.1.2)."""
    assert load(dict.fromkeys(VARIABLES.values(), value)) == load()
    assert load({"CONTIT_MCP_UNHEARD_OF": value, "CONTIT_API_KEYS": value, "CONTIT_MCP_CONFIG": value}) == load()
    quoted = value.replace("\t", "\\t").replace("\n", "\\n")
    assert load(file=write(tmp_path, "".join(f'{name} = "{quoted}"\n' for name in VARIABLES))) == load()


@pytest.mark.parametrize("value", ["$ecret", "100%", "a${b}c", "${a}${b}", "%a", "{}", "$", "x $CONTIT_API_KEY"])
def test_a_text_that_only_resembles_a_placeholder_is_a_value(value: str) -> None:
    assert plain(load({"CONTIT_API_KEY": value}).api_key) == value


# --- What is refused


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CONTIT_MCP_WAIT_SECONDS", [MARKER, "0.9", "3601", "-1", "nan", "inf"]),
        ("CONTIT_MCP_MAX_WAIT_SECONDS", ["0.9", "3601"]),
        ("CONTIT_MCP_RUN_LIMIT_SECONDS", ["59.9", "inf", "nan"]),
        ("CONTIT_MCP_ANSWER_SECONDS", ["-0.1", "inf"]),
        ("CONTIT_MCP_LOG_LEVEL", [MARKER, "TRACE"]),
        ("CONTIT_MCP_JWT_SCOPES", ['a "b"', "x" * 257]),
        ("CONTIT_BASE_URL", [MARKER, "x\udce9"]),
    ],
)
def test_an_unusable_value_is_reported_by_the_name_of_its_setting_and_not_quoted(name: str, values: list[str]) -> None:
    """Another problem is named beside it, in one line."""
    for value in values:
        error = refused({name: value, "CONTIT_MCP_PORT": "soon"})
        assert name in error.message
        assert "CONTIT_MCP_PORT" in error.message
        assert "\n" not in error.message
        assert "contit-mcp settings" in error.hint


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("api_key access_token", "CONTIT_API_KEY CONTIT_ACCESS_TOKEN"),
        ("api_key_file access_token", "CONTIT_API_KEY CONTIT_ACCESS_TOKEN"),
        ("api_key client_id client_secret", "CONTIT_API_KEY CONTIT_CLIENT_ID"),
        ("api_key api_key_file", "CONTIT_API_KEY_FILE"),
        ("store store_file", "CONTIT_MCP_STORE_FILE"),
        ("client_id", "CONTIT_CLIENT_SECRET"),
        ("client_secret", "CONTIT_CLIENT_ID"),
        ("client_secret_file", "CONTIT_CLIENT_ID"),
        ("api_key client_secret", "CONTIT_CLIENT_ID"),
    ],
)
def test_settings_that_contradict_each_other_are_named(names: str, told: str) -> None:
    """One credential, from one place; nothing is chosen silently."""
    error = refused({VARIABLES[name]: "memory" if name == "store" else MARKER for name in names.split()})
    assert all(name in error.message for name in told.split())


@pytest.mark.parametrize("name", ["api_key", "access_token", "client_secret", "seal_key", "tokens"])
def test_a_secret_comes_from_its_value_or_its_file_and_is_never_shown(name: str, tmp_path: Path) -> None:
    secret = f"anna:{MARKER}-of-20-letters" if name == "tokens" else MARKER
    partner = {"CONTIT_CLIENT_ID": "c"} if name == "client_secret" else {}
    (tmp_path / "secret").write_text(f"{secret}\n")
    for variables in ({VARIABLES[name]: f" {secret}\n"}, {f"{VARIABLES[name]}_FILE": str(tmp_path / "secret")}):
        settings = load(variables | partner)
        value = settings.secret(name)
        assert value is not None
        assert (value.name, value.reveal()) == (VARIABLES[name], secret)
        shown = [settings, settings.model_dump(), settings.model_dump_json(), settings.model_copy(), value]
        assert MARKER not in f"{shown} {settings} {value}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"api_key = {MARKER}\n", "line 1, column 11"),
        (f'base_url = "x"\napi_key = "{MARKER}\n', "line 2, column"),
        (f'{MARKER} = """', "end of document"),
    ],
)
def test_a_syntax_error_is_reported_by_its_place_and_not_quoted(text: str, reason: str, tmp_path: Path) -> None:
    file = write(tmp_path, text)
    message = refused(file=file).message
    assert message.startswith(f"The settings file {file} ")
    assert reason in message


@pytest.mark.parametrize("line", [f"api_key = ['{MARKER}']\n", "base_url = true\n", f"wait_seconds = '{MARKER}'\n"])
def test_a_value_of_the_wrong_type_is_named_with_its_file(line: str, tmp_path: Path) -> None:
    file = write(tmp_path, line)
    assert refused(file=file).message.startswith(f"{line.split(maxsplit=1)[0]} (in {file}) ")


def test_only_values_that_are_used_are_checked(tmp_path: Path) -> None:
    file = write(tmp_path, "wait_seconds = 'x'\napi_key = 'k'")
    error = refused({"CONTIT_MCP_WAIT_SECONDS": "y", "CONTIT_ACCESS_TOKEN": "t"}, file)
    assert error.message == "CONTIT_MCP_WAIT_SECONDS should be a valid number."


def assert_unknown(error: ConfigurationError, name: str, nearest: str | None) -> None:
    assert error.message == f"{name} is not a setting of contit-mcp."
    assert error.hint == (f"Did you mean {nearest}?" if nearest else "contit-mcp settings lists every setting.")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CONTIT_MCP_WAIT_SECOND", "CONTIT_MCP_WAIT_SECONDS"),
        ("CONTIT_MCP_MAX_WAIT", "CONTIT_MCP_MAX_WAIT_SECONDS"),
        ("CONTIT_APIKEY", "CONTIT_API_KEY"),
        ("CONTIT_API_KEY_FLE", "CONTIT_API_KEY_FILE"),
        ("CONTIT_MCP_XYZZY", None),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(name: str, nearest: str | None) -> None:
    """All of CONTIT_MCP_… is ours. Of several unknown ones, the first by name is told each time."""
    assert_unknown(refused({"CONTIT_MCP_ZZZ": "1", name: MARKER}), name, nearest)


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        (f'api_kye = "{MARKER}"\n', "api_kye", "api_key"),
        (f'BASE_URL = "{MARKER}"\n', "BASE_URL", "base_url"),
        (f'CONTIT_API_KEY = "{MARKER}"\n', "CONTIT_API_KEY", "api_key"),
        (f'CONTIT_MCP_WAIT_SECONDS = "{MARKER}"\n', "CONTIT_MCP_WAIT_SECONDS", "wait_seconds"),
        (f'[contit]\napi_key = "{MARKER}"\n', "contit", None),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    text: str, key: str, nearest: str | None, tmp_path: Path
) -> None:
    file = write(tmp_path, text)
    assert_unknown(refused(file=file), f"{key} (in {file})", nearest)


@pytest.mark.parametrize("service", ["CONTIT_MCP", "CONTIT_MCP_REDIS", "CONTIT"])
def test_variables_that_kubernetes_sets_for_a_service_are_ignored(service: str) -> None:
    """Seen: `CONTIT_MCP_PORT=tcp://…` kept every pod from starting. The names are those of its documentation."""
    values = dict.fromkeys(("SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP_PORT"), "80")
    values |= dict.fromkeys(("SERVICE_HOST", "PORT_80_TCP_ADDR"), "10.96.7.8") | {"PORT_80_TCP_PROTO": "tcp"}
    values |= dict.fromkeys(("PORT", "PORT_80_TCP"), "tcp://10.96.7.8:80")
    variables = {f"{service}_{name}": value for name, value in values.items()}
    assert load(variables) == load()
    assert load({**variables, "CONTIT_MCP_PORT": "8001"}).port == 8001
    assert "CONTIT_MCP_PORT" in refused({**variables, "CONTIT_MCP_PORT": "http://10.96.7.8"}).message


def test_variables_of_other_programs_are_ignored() -> None:
    names = ("CONTIT_WORKSPACE", "CONTIT_CLI_HOME", "CONTIT", "CONTITAPIKEY", "XCONTIT_API_KEYS", "PATH")
    assert load(dict.fromkeys(names, "anything")) == load()


# --- Secrets in files


@pytest.mark.parametrize("content", [f"  {MARKER}\t\n\n", f"\ufeff{MARKER}\r\n"])
def test_a_secret_is_read_again_and_stripped_when_its_file_changes(content: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    secret = SecretValue("CONTIT_API_KEY", file=file)

    def revealed(text: str) -> str:
        file.write_bytes(text.encode())
        os.utime(file, ns=(1, 1))
        return secret.reveal()

    assert revealed(content) == MARKER
    assert revealed("x" * len(content.encode())) == MARKER  # the time, the size and the inode are the same
    assert revealed("second") == "second"
    file.unlink()
    with pytest.raises(ConfigurationError):  # no stale secret is sent on
        secret.reveal()


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with a path")
def test_a_secret_can_come_through_a_pipe_which_is_read_once() -> None:
    """As in `CONTIT_API_KEY_FILE=<(command)`; every user of the settings gets what was read."""
    reading, writing = os.pipe()
    settings = load_settings(environment={"CONTIT_API_KEY_FILE": f"/dev/fd/{reading}"})

    def write_late() -> None:
        os.write(writing, b"first\n")
        os.close(writing)

    Timer(0.05, write_late).start()
    revealed = [secret.reveal() for secret in (settings.secret("api_key"), settings.secret("api_key")) if secret]
    os.close(reading)
    assert revealed == ["first", "first"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nowhere", None, "cannot be read: No such file or directory"),
        (".", None, "cannot be read: Is a directory"),
        ("nul\x00", None, "cannot be read: not a path"),
        ("binary", MARKER.encode() + b"\xff\xfe", "cannot be read: not UTF-8 text"),
        ("blank", b" \n\t", "is empty"),
        ("mark", b"\xef\xbb\xbf", "is empty"),
    ],
)
def test_an_unusable_secret_file_is_reported(name: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        SecretValue("CONTIT_API_KEY", file=file).reveal()
    assert caught.value.message == f"The file that CONTIT_API_KEY_FILE names {reason}."
    assert str(file) in caught.value.hint
    assert caught.value.__context__ is None  # a codec's error has all of the content


# --- The store and the state folder


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("memory", "memory", ""),
        ("sqlite", "sqlite", ""),
        ("sqlite:/var/lib/runs.sqlite3", "sqlite:/var/lib/runs.sqlite3", ""),
        ("redis://localhost/0", "redis://localhost:6379", "redis://localhost:6379/0"),
        ("redis://[::1]:16399", "redis://[::1]:16399", "redis://[::1]:16399"),
        ("redis://:MARKER%2Fx@cache:1/0", "redis://cache:1", "redis://:MARKER%2Fx@cache:1/0"),
        ("rediss://u:MARKER@c:1?ssl_keyfile=MARKER", "rediss://c:1", "rediss://u:MARKER@c:1?ssl_keyfile=MARKER"),
        ("valkey://cache", "redis://cache:6379", "redis://cache:6379"),
        ("valkeys://:valkey-MARKER@my-valkey:1", "rediss://my-valkey:1", "rediss://:valkey-MARKER@my-valkey:1"),
    ],
)
def test_a_store_is_understood_and_named_without_its_password(text: str, name: str, url: str) -> None:
    location = parse_store(text)
    assert (location.name, location.url) == (name, url)
    assert location.kind == ("redis" if url else name.partition(":")[0])
    assert MARKER not in repr(location)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:", "postgres://MARKER@x", "redis:MARKER", "redis://", "redis:///0", "redis://:MARKER@",
        "redis://x:MARKER", "redis://x:99999/0", "redis://x:0/0", "redis://[::1/MARKER", "redis://[MARKER]/0",
        "redis://x/MARKER", "redis://x/-1", "redis://x/0/MARKER", "redis://x/0?MARKER",
        "redis://x/0?socket_timeout=MARKER", "rediss://x/0?ssl_cert_reqs=MARKER", "redis://x/0#MARKER",
        "redis://:MARKER@MARKER/x@cache:16399/0", "redis://a b/MARKER", "unix:///MARKER", "MARKER",
    ],
)  # fmt: skip
def test_any_other_store_is_refused_without_being_quoted(text: str) -> None:
    assert refused({"CONTIT_MCP_STORE": text}).message.startswith("CONTIT_MCP_STORE must be memory, sqlite")


def test_the_address_of_the_store_can_be_in_a_file_which_a_higher_source_replaces(tmp_path: Path) -> None:
    file = tmp_path / "store"
    environment = {"CONTIT_MCP_STORE_FILE": str(file)}
    settings = load_settings(environment=environment)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings.store_location()
    file.write_text("redis://:MARKER@cache\n", encoding="utf-8")
    assert settings.store_location() == StoreLocation("redis", url="redis://:MARKER@cache:6379")
    file.write_text("MARKER", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be memory") as caught:
        settings.store_location()
    assert MARKER not in caught.value.message
    assert load_settings({"store": "memory"}, environment=environment).store_location().kind == "memory"


def test_the_state_folder_is_the_configured_or_usual_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state_folder(tmp_path) == tmp_path
    assert state_folder().name == "contit-mcp"
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert state_folder() == tmp_path / "contit-mcp"
        monkeypatch.setenv("HOME", str(tmp_path))
        for odd in ("relative", ""):  # XDG says to ignore it
            monkeypatch.setenv("XDG_STATE_HOME", odd)
            assert state_folder() == tmp_path / ".local" / "state" / "contit-mcp"


# --- Addresses


BAD = {
    "must begin with https:// (http:// is for this machine only)": [
        "http://api.contit.cloud", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "http://127.0.0.2",
        "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://2130706433", "http://localhost.",
    ],
    "must hold no user, password, query or fragment": [
        f"https://user:{MARKER}@contit.test", "https://@contit.test", f"http://localhost:{MARKER}@evil.test",
        "http://localhost@evil.test", f"https://contit.test\\@{MARKER}.test", f"https://contit.test?api_key={MARKER}",
        "https://contit.test/?", f"https://contit.test#{MARKER}", "https://contit.test/#",
    ],
    "is not a URL": [
        f"https://contit.test\\.{MARKER}.test", f"https://contit.test:{MARKER}", "https://contit.test:99999",
        "https://contit.test:0", f"https://[::1/{MARKER}", f"https://user:{MARKER}\u2100@contit.test",
        f"https://con tit.test/{MARKER}", f"https://contit.test/{MARKER} x", f"https://con\ntit.test/{MARKER}",
        f"https://contit.test/\u200b{MARKER}",
    ],
    "must be a URL that begins with https://": [
        f"ftp://contit.test/{MARKER}", f"javascript:{MARKER}", "api.contit.cloud", "//api.contit.cloud",
        "https:///path", "https:api.contit.cloud",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["https://api.contit.cloud", "HTTPS://API.contit.cloud", "https://contit_test.internal:8443/x",
     "https://bücher.example", "https://[2001:db8::1]:8443", "http://LOCALHOST", "http://127.0.0.1:1", "http://[::1]:80"],
)  # fmt: skip
def test_https_anywhere_and_http_on_this_machine_are_usable(value: str) -> None:
    """Trailing slashes and white space around are dropped."""
    assert usable_url(value) == usable_url(f" {value}//\n") == value


@pytest.mark.parametrize(("reason", "value"), [(reason, value) for reason, values in BAD.items() for value in values])
def test_any_other_address_is_refused_with_its_reason_and_unquoted(reason: str, value: str) -> None:
    """The credential is sent to it, so only the operator chooses the host, and the connection is encrypted."""
    for name in ("CONTIT_BASE_URL", "CONTIT_TOKEN_URL"):
        assert refused({name: value}).message == f"{name} {reason}."


@given(
    st.text(max_size=60)
    | st.from_regex(r"https?://[a-z0-9.@:/\\\[\]?# %]{0,30}", fullmatch=True)
    | st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), st.text(max_size=20), st.text(max_size=20))
)
def test_an_accepted_address_means_the_same_to_httpx(value: str) -> None:
    """No text is taken for one host here and for another where the credential is sent."""
    try:
        accepted = usable_url(value)
    except ValueError as error:
        assert str(error) in BAD  # noqa: PT017 - or it is accepted
        return
    try:
        seen = httpx.URL(accepted)
    except httpx.InvalidURL:
        return  # refused there too, as ConfigurationError by build_http_client
    assert seen.scheme == "https" or (seen.scheme == "http" and seen.host in LOOPBACK)
    assert seen.host
    assert (seen.userinfo, seen.query, seen.fragment) == (b"", b"", "")
