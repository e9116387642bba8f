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

SECRET = "s3cr3t-marker"
SAME = "as it is written"


@pytest.mark.parametrize("content", [f"  {SECRET}\t\n\n", f"\ufeff{SECRET}\r\n"])
def test_a_secret_is_read_when_it_changes_without_what_editors_add(content: str, tmp_path: Path) -> None:
    """One look at its time, size and number serves each request."""
    file = tmp_path / "secret"
    secret = SecretValue("CONTIT_API_KEY", file=file)
    for text, read in ((content, SECRET), ("x" * len(content.encode()), SECRET), ("second", "second")):
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
        ("binary", SECRET.encode() + b"\xff\xfe", "cannot be read: not UTF-8 text"),
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
        ("redis://:MARKER%2Fx@cache:16399/0", "redis://cache:16399", "redis://:MARKER%2Fx@cache:16399/0"),
        ("rediss://u:MARKER@cache:6380/1?ssl_ca_certs=MARKER", "rediss://cache:6380", SAME),
        ("redis://[::1]:16399", "redis://[::1]:16399", SAME),
        ("valkey://cache", "redis://cache:6379", "redis://cache:6379"),
        ("valkeys://:MARKER@cache", "rediss://cache:6379", "rediss://:MARKER@cache:6379"),
        ("redis://valkey:6379/0", "redis://valkey:6379", SAME),
        ("rediss://:valkey-MARKER@cache:1", "rediss://cache:1", SAME),
        ("redis://my-valkey.svc", "redis://my-valkey.svc:6379", "redis://my-valkey.svc:6379"),
    ],
)
def test_a_store_is_understood_and_named_without_its_password(text: str, name: str, url: str) -> None:
    location = parse_store(text)
    assert (location.name, location.url) == (name, text if url == SAME else url)
    assert location.kind == ("redis" if url else name.partition(":")[0])
    assert "MARKER" not in repr(location)


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
    with pytest.raises(ConfigurationError, match="CONTIT_MCP_STORE must be memory, sqlite") as refused:
        load_settings(environment={"CONTIT_MCP_STORE": text})
    assert "MARKER" not in refused.value.message


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
    assert "MARKER" not in caught.value.message
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


GOOD = {
    "https://api.contit.cloud/": "https://api.contit.cloud",
    "https://gateway.test/contit//": "https://gateway.test/contit",
    "http://[::1]:8080/": "http://[::1]:8080",
    " https://api.contit.cloud\n": "https://api.contit.cloud",
} | {
    it: it
    for it in (
        "HTTPS://API.contit.cloud", "https://contit_test.internal:8443/x", "https://[2001:db8::1]:8443",
        "https://bücher.example", "http://LOCALHOST", "http://127.0.0.1:1",
    )
}  # fmt: skip
BAD = {
    "must begin with https:// (http:// is for this machine only)": [
        "http://api.contit.cloud", "http://localhost.evil.test", "http://127.0.0.1.evil.test",
        "http://127.0.0.2", "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://2130706433",
        "http://localhost.",
    ],
    "must hold no user, password, query or fragment": [
        f"https://user:{SECRET}@contit.test", "https://@contit.test", f"http://localhost:{SECRET}@evil.test",
        "http://localhost@evil.test", f"https://contit.test\\@{SECRET}.test",
        f"https://contit.test?api_key={SECRET}", "https://contit.test/?", f"https://contit.test#{SECRET}",
        "https://contit.test/#",
    ],
    "is not a URL": [
        f"https://contit.test\\.{SECRET}.test", f"https://contit.test:{SECRET}", "https://contit.test:99999",
        "https://contit.test:0", f"https://[::1/{SECRET}", f"https://user:{SECRET}\u2100@contit.test",
        f"https://con tit.test/{SECRET}", f"https://contit.test/{SECRET} x", f"https://con\ntit.test/{SECRET}",
        f"https://contit.test/\u200b{SECRET}",
    ],
    "must be a URL that begins with https://": [
        f"ftp://contit.test/{SECRET}", f"javascript:{SECRET}", "api.contit.cloud", "//api.contit.cloud",
        "https:///path", "https:api.contit.cloud",
    ],
}  # fmt: skip


@pytest.mark.parametrize("value", GOOD)
def test_https_anywhere_and_http_on_this_machine_are_usable(value: str) -> None:
    """Trailing slashes and white space around are dropped."""
    assert usable_url(value) == GOOD[value]


@pytest.mark.parametrize(("reason", "value"), [(reason, value) for reason, values in BAD.items() for value in values])
def test_any_other_address_is_refused_with_its_reason_and_unquoted(reason: str, value: str) -> None:
    """The credential goes there, so it is the operator's alone and encrypted on its way."""
    for name in ("CONTIT_BASE_URL", "CONTIT_TOKEN_URL"):
        with pytest.raises(ConfigurationError) as caught:
            load_settings(environment={name: value})
        assert caught.value.message == f"{name} {reason}."
        assert SECRET not in f"{caught.value!r}{caught.value.hint}"
        assert caught.value.__context__ is None


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
