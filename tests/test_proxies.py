"""The proxies of the environment: what httpx can use of them, and what is ignored."""

import httpx
import pytest

from contit_mcp.config.proxies import environment_proxies

PROXY = {"https": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    ("entry", "pattern"),
    [
        ("example.com", "all://*example.com"),
        (".example.com", "all://*example.com"),
        ("*.example.com", "all://*example.com"),
        ("localhost", "all://localhost"),
        ("127.0.0.1", "all://127.0.0.1"),
        ("127.0.0.1:8080", "all://127.0.0.1:8080"),
        ("::1", "all://[::1]"),
        ("[::1]", "all://[::1]"),
        ("[::1]:8080", "all://[::1]:8080"),
        ("::1/128", "all://[::1]"),
        ("127.0.0.1/32", "all://127.0.0.1"),
        ("host:443", "all://*host:443"),
        ("my_host", "all://*my_host"),
        ("https://example.com", "https://example.com"),
    ],
)
def test_an_entry_of_no_proxy_becomes_a_pattern_that_httpx_accepts(entry: str, pattern: str) -> None:
    """Also the forms that httpx itself refuses."""
    mounts, ignored = environment_proxies(PROXY | {"no": f" {entry} ,"})
    assert mounts == {"https://": "http://proxy.example:3128", pattern: None}
    assert ignored == []
    httpx.AsyncClient(mounts=dict.fromkeys(mounts), trust_env=False)


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.0/8", "fd00::/8", "::1/129", "fe80::1%en0", "<local>", "a b", "[", "http://", "é.example", "a..b", "-", "x:y:z", "host:", "*:80", "::ffff:/99"],
)  # fmt: skip
def test_an_entry_of_no_proxy_that_is_no_host_is_ignored_and_named(entry: str) -> None:
    """The others count."""
    mounts, ignored = environment_proxies(PROXY | {"no": f"{entry},good.example"})
    assert mounts == {"https://": "http://proxy.example:3128", "all://*good.example": None}
    assert len(ignored) == 1
    assert "NO_PROXY" in ignored[0]
    httpx.AsyncClient(mounts=dict.fromkeys(mounts), trust_env=False)


@pytest.mark.parametrize(
    "value",
    ["not a url", "http://", "http://[::1", "ftp://proxy.example", "http://a b:1", "http://x:99999", ":8080", "http://user:hunter2@", "socks4://x:1", "http://x\x1b[31m:1"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_ignored_and_its_password_is_not_shown(value: str) -> None:
    """The variable is named."""
    mounts, ignored = environment_proxies({"https": value, "no": "["})
    assert mounts == {}
    assert len(ignored) == 1
    assert ignored[0].startswith("HTTPS_PROXY, which ")
    assert "hunter2" not in ignored[0]


def test_without_a_proxy_no_entry_of_no_proxy_matters() -> None:
    """OrbStack sets odd ones on every machine."""
    assert environment_proxies({"no": "localhost,::1/128,["}) == ({}, [])
    assert environment_proxies({**PROXY, "no": "*"}) == ({}, [])
    assert environment_proxies({"all": "proxy.example:1"}) == ({"all://": "http://proxy.example:1"}, [])
