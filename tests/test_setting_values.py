"""Values of settings: secrets in files, addresses, the store as people write it, and the state folder."""

import os
import sys
from pathlib import Path
from threading import Timer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import LOOPBACK, SecretValue, StoreLocation, parse_store, state_folder, usable_url
from contit_mcp.errors import ConfigurationError
from tests.test_settings import MARKER, refused


@pytest.mark.parametrize("content", [f"  {MARKER}\t\n\n", f"\ufeff{MARKER}\r\n"])
def test_a_secret_is_read_when_it_changes_without_what_editors_add(content: str, tmp_path: Path) -> None:
    """It is read again if the time, the size or the inode of the file is another."""
    file = tmp_path / "secret"
    secret = SecretValue("CONTIT_API_KEY", file=file)
    for text, read in ((content, MARKER), ("x" * len(content.encode()), MARKER), ("second", "second")):
        file.write_bytes(text.encode())
        os.utime(file, ns=(1, 1))
        assert secret.reveal() == read
    file.unlink()
    with pytest.raises(ConfigurationError):  # no stale secret is sent on
        secret.reveal()


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with a path")
def test_a_secret_can_come_through_a_pipe_which_is_read_once() -> None:
    """As with `CONTIT_API_KEY_FILE=<(command)`, for all that use the settings."""
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
def test_a_secret_that_cannot_be_read_is_told(name: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        SecretValue("CONTIT_API_KEY", file=file).reveal()
    assert caught.value.message == f"The file that CONTIT_API_KEY_FILE names {reason}."
    assert str(file) in caught.value.hint
    assert caught.value.__context__ is None  # a codec's error has all of the content


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("memory", "memory", ""),
        ("sqlite", "sqlite", ""),
        ("sqlite:/var/lib/runs.sqlite3", "sqlite:/var/lib/runs.sqlite3", ""),
        ("redis://localhost/0", "redis://localhost:6379", "redis://localhost:6379/0"),
        ("redis://[::1]:16399", "redis://[::1]:16399", "redis://[::1]:16399"),
        ("redis://valkey:6379/0", "redis://valkey:6379", "redis://valkey:6379/0"),
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


def test_the_store_can_be_in_a_file_which_a_higher_source_replaces(tmp_path: Path) -> None:
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
     "https://bücher.example", "https://[2001:db8::1]:8443", "http://LOCALHOST", "http://127.0.0.1:1", "http://[::1]:8080"],
)  # fmt: skip
def test_https_anywhere_and_http_on_this_machine_are_usable(value: str) -> None:
    """Trailing slashes and white space around are dropped."""
    assert usable_url(value) == usable_url(f" {value}//\n") == value


@pytest.mark.parametrize(("reason", "value"), [(reason, value) for reason, values in BAD.items() for value in values])
def test_any_other_address_is_refused_with_its_reason_and_unquoted(reason: str, value: str) -> None:
    """The credential goes there, so it is the operator's alone and encrypted on its way."""
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
