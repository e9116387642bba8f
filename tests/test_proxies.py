"""The proxies of the environment: what httpx can use of them, and what is ignored."""

import httpx
import pytest

from contit_mcp.config.proxies import environment_proxies

PROXY = {"https": "http://proxy.example:3128"}
MOUNTS = {"https://": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    ("entry", "pattern"),
    [
        ("example.com", "all://*example.com"),
        (".example.com", "all://*example.com"),
        ("*.example.com", "all://*example.com"),
        ("127.0.0.1", "all://*127.0.0.1"),
        ("::1", "all://[::1]"),
        ("[::1]", "all://[::1]"),
        ("my_host:443", "all://*my_host:443"),
    ],
)
def test_an_entry_of_no_proxy_becomes_a_pattern_that_httpx_accepts(entry: str, pattern: str) -> None:
    assert environment_proxies(PROXY | {"no": f" {entry} ,"}) == (MOUNTS | {pattern: None}, [])
    httpx.AsyncClient(mounts={pattern: None}, trust_env=False)


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.0/8", "fd00::/8", "::1/128", "fe80::1%en0", "<local>", "a b", "[", "http://", "é.example", "a..b", "-", "x:y:z", "host:", "*:80"],
)  # fmt: skip
def test_an_entry_of_no_proxy_that_is_no_host_is_ignored_and_named(entry: str) -> None:
    mounts, (ignored,) = environment_proxies(PROXY | {"no": f"{entry},good.example"})
    assert mounts == MOUNTS | {"all://*good.example": None}
    assert "NO_PROXY" in ignored


@pytest.mark.parametrize(
    "value",
    ["not a url", "http://", "http://[::1", "ftp://proxy.example", "http://a b:1", "http://x:99999", ":8080", "http://user:hunter2@", "socks4://x:1", "http://x\x1b[31m:1"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_ignored_and_its_password_is_not_shown(value: str) -> None:
    mounts, (ignored,) = environment_proxies({"https": value, "no": "["})
    assert mounts == {}
    assert ignored.startswith("HTTPS_PROXY, which ")
    assert "hunter2" not in ignored


def test_without_a_proxy_no_entry_of_no_proxy_matters() -> None:
    """OrbStack sets odd ones on every machine."""
    assert environment_proxies({"no": "localhost,::1/128,["}) == ({}, [])
    assert environment_proxies({**PROXY, "no": "*"}) == ({}, [])
    assert environment_proxies({"all": "proxy.example:1"}) == ({"all://": "http://proxy.example:1"}, [])
