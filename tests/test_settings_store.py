"""Where runs are remembered, as people write it."""

from pathlib import Path

import pytest

from contit_mcp.config.sources import load_settings
from contit_mcp.config.values import StoreLocation, parse_store
from contit_mcp.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("memory", "memory", "memory"),
        ("sqlite", "sqlite", "sqlite"),
        ("sqlite:/var/lib/runs.sqlite3", "sqlite", "sqlite:/var/lib/runs.sqlite3"),
        ("redis://localhost:6379/0", "redis", "redis://localhost:6379"),
        ("rediss://user:MARKER@cache.example:6380/1?ssl_ca_certs=MARKER", "redis", "rediss://cache.example:6380"),
        ("redis://:MARKER%2Fx@cache:16399/0", "redis", "redis://cache:16399"),
        ("redis://[::1]:16399", "redis", "redis://[::1]:16399"),
        ("valkey://cache", "redis", "redis://cache:6379"),
        ("valkeys://:MARKER@cache", "redis", "rediss://cache:6379"),
    ],
)
def test_each_form_is_understood_and_can_be_named_without_its_password(text: str, kind: str, name: str) -> None:
    """Valkey speaks Redis."""
    location = parse_store(text)
    assert (location.kind, location.name) == (kind, name)
    assert "MARKER" not in repr(location)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sqlite:",
        "postgres://MARKER@x",
        "redis:MARKER",
        "redis:/MARKER",
        "redis://",
        "redis:///0",
        "redis://:MARKER@",
        "redis://x:MARKER",
        "redis://x:99999/0",
        "redis://x:0/0",
        "redis://x:-1/0",
        "redis://x:+6379/0",
        "redis://[::1/MARKER",
        "redis://[MARKER]/0",
        "redis://x/MARKER",
        "redis://x/-1",
        "redis://x/0/MARKER",
        "redis://x/0?db=MARKER",
        "redis://x/0?MARKER",
        "redis://x/0?socket_timeout=MARKER",
        "rediss://x/0?ssl_cert_reqs=MARKER",
        "redis://x/0#MARKER",
        "redis://:MARKER@MARKER/x@cache:16399/0",
        "redis://a b/MARKER",
        "redis+MARKER://x",
        "unix:///MARKER",
        "MARKER",
    ],
)
def test_anything_else_is_refused_without_being_quoted(text: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match="must be memory, sqlite") as caught:
        parse_store(text)
    assert "MARKER" not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environment={"CONTIT_MCP_STORE": text or "x"})
    assert "CONTIT_MCP_STORE" in refused.value.message
    assert "MARKER" not in refused.value.message


def test_the_url_can_stand_in_a_file(tmp_path: Path) -> None:
    """Every secret can."""
    file = tmp_path / "store"
    settings = load_settings(environment={"CONTIT_MCP_STORE_FILE": str(file)})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings.store_location()
    file.write_text("redis://:MARKER@cache\n", encoding="utf-8")
    assert settings.store_location() == StoreLocation("redis", url="redis://:MARKER@cache:6379")
    file.write_text("MARKER", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be memory") as caught:
        settings.store_location()
    assert "MARKER" not in caught.value.message


def test_the_store_and_its_file_cannot_both_be_set() -> None:
    """Save from different sources: the higher one replaces the lower one."""
    with pytest.raises(ConfigurationError, match="keep one"):
        load_settings(environment={"CONTIT_MCP_STORE": "memory", "CONTIT_MCP_STORE_FILE": "/x"})
    chosen = load_settings({"store": "memory"}, environment={"CONTIT_MCP_STORE_FILE": "/x"})
    assert chosen.store_location().kind == "memory"
