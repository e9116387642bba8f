"""What is refused for its Host or Origin, and which web pages may call."""

import ipaddress
import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contit_mcp.http.guard import GuardPolicy, matches
from contit_mcp.http.serve import is_loopback
from tests.children import INITIALIZE, Served, contit, rpc

PAGE = "https://app.example"
TOKEN = {"Authorization": "Bearer " + "a" * 24}
MODES = {
    "none": {},
    "token": {
        "CONTIT_MCP_AUTH": "token",
        "CONTIT_MCP_TOKENS": "ada:" + "a" * 24,
        "CONTIT_MCP_SEAL_KEY": "s" * 32,
        "CONTIT_MCP_ALLOWED_ORIGINS": "https://App.example, http://localhost:*",
        "CONTIT_MCP_TRUSTED_PROXIES": "127.0.0.1",
    },
}


@pytest.fixture(scope="module")
def local() -> Iterator[Served]:
    """A server for this machine, as it comes."""
    with contit() as upstream, Served({"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key"}) as server:
        yield server


@pytest.fixture(scope="module")
def deployed() -> Iterator[Served]:
    """A server with tokens behind a proxy, for the pages of one origin."""
    with contit() as upstream:
        environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **MODES["token"]}
        with Served(environment) as server:
            yield server


HOSTS: dict[str, tuple[list[bytes], int]] = {
    "another name": ([b"Host: evil.example"], 421),
    "a name that begins alike": ([b"Host: localhost.evil.example"], 421),
    "a user before the name": ([b"Host: localhost@evil.example"], 421),
    "two ports": ([b"Host: localhost:1:2"], 421),
    "a port in no digits of ours": ([b"Host: localhost:\xb2"], 421),
    "nothing": ([b"Host:"], 421),
    "none": ([], 400),
    "two": ([b"Host: localhost", b"Host: localhost"], 400),
    "a foreign page": ([b"Host: localhost", b"Origin: https://evil.example"], 403),
    "a page without origin": ([b"Host: localhost", b"Origin: null"], 403),
    "an empty origin": ([b"Host: localhost", b"Origin:"], 403),
    "two origins": ([b"Host: localhost", b"Origin: http://localhost", b"Origin: http://localhost"], 403),
    "two origins in one": ([b"Host: localhost", b"Origin: http://localhost, https://evil.example"], 403),
    "an origin that begins alike": ([b"Host: localhost", b"Origin: http://localhost.evil.example"], 403),
}


@pytest.mark.parametrize("case", HOSTS)
def test_a_request_under_another_name_or_from_a_foreign_page_is_refused(local: Served, case: str) -> None:
    """Against DNS rebinding (documented: MCP transports, "Security Warning"; RFC 9112, 3.2; RFC 9110, 15.5.20)."""
    headers, status = HOSTS[case]
    head = [b"POST /mcp HTTP/1.1", *headers, b"Content-Type: application/json", b"Content-Length: 2", b"", b"{}"]
    answered, _, body = local.raw(b"\r\n".join(head))
    assert answered == status
    assert body.startswith(b'{"error":' if status != 400 else (b'{"error":', b"Invalid HTTP request"))
    assert len(body) < 200
    local.assert_unharmed()


CROSS_SITE = {
    "an image or a form of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a page on another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "a link on another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
}


@pytest.mark.parametrize("case", CROSS_SITE)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_web_page_cannot_use_up_a_local_user_s_requests(case: str, method: str) -> None:
    """Browsers leave out Origin in requests whose answers the page may not read. They are refused and not counted."""
    with contit() as upstream:
        environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key"}
        with Served(environment | {"CONTIT_MCP_REQUESTS_PER_MINUTE": "5"}) as server:
            for _ in range(10):
                headers = CROSS_SITE[case] | {"Content-Type": "text/plain"}
                assert server.http.request(method, server.url, headers=headers).status_code == 403
            assert [server.post(rpc("ping")).status_code for _ in range(5)] == [200] * 5


def test_a_page_on_this_machine_may_call_from_another_port(local: Served) -> None:
    """Its Origin is allowed, although the browser calls the request cross-site or same-site."""
    for site in ("same-site", "cross-site", "same-origin", "none"):
        assert local.post(rpc("ping"), Origin="http://localhost:5173", Sec_Fetch_Site=site).status_code == 200
    for site in ("same-origin", "none"):
        assert local.post(rpc("ping"), Sec_Fetch_Site=site).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8123"])
@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://127.0.0.1", ""])
def test_this_machine_may_call_under_each_of_its_names(local: Served, host: str, origin: str) -> None:
    """Without a list."""
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert local.post(INITIALIZE, **headers).status_code == 200


@pytest.mark.parametrize("lines", [[], [b"Host: a", b"Host: a"]])
def test_no_host_or_two_are_refused_where_any_host_may_be_named(deployed: Served, lines: list[bytes]) -> None:
    """Documented: RFC 9112, 3.2."""
    head = [b"POST /mcp HTTP/1.1", *lines, f"Authorization: {TOKEN['Authorization']}".encode(), b"", b""]
    assert deployed.raw(b"\r\n".join(head))[0] == 400
    assert deployed.post(INITIALIZE, Host="any.example", **TOKEN).status_code == 200


def test_probes_come_under_any_name(local: Served) -> None:
    """They ask by a pod's address."""
    for path in ("healthz", "readyz", "metrics"):
        assert local.http.get(f"{local.base}/{path}", headers={"Host": "10.1.2.3"}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example", "https://app.example:8443"])
def test_a_foreign_page_gets_neither_a_preflight_nor_a_call(deployed: Served, origin: str) -> None:
    """Also with a good token, which its visitor may have."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for refused in (
        deployed.http.options(deployed.url, headers=asks),
        deployed.post(INITIALIZE, Origin=origin, **TOKEN),
    ):
        assert refused.status_code == 403
        assert refused.json()["error"] == "foreign_origin"
        assert "access-control-allow-origin" not in refused.headers
    deployed.assert_unharmed()


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:5173"])
def test_a_listed_page_may_ask_and_call(deployed: Served, origin: str) -> None:
    """The preflight comes without a token (documented: Fetch, "CORS-preflight fetch"); a list may use capitals."""
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name",
    }
    preflight = deployed.http.options(deployed.url, headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    allowed = {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "x-api-key"}
    call = deployed.post(INITIALIZE, Origin=origin, **TOKEN)
    assert call.status_code == 200
    assert call.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in call.headers
    unknown = deployed.post(INITIALIZE, Origin=origin)
    assert unknown.status_code == 401
    assert unknown.headers["access-control-allow-origin"] == origin, "the page must be able to read why"


def test_only_a_trusted_proxy_says_who_calls(local: Served, deployed: Served) -> None:
    """Anybody can send X-Forwarded-For."""
    for server, headers, client in ((local, {}, "127.0.0.1"), (deployed, TOKEN, "203.0.113.9")):
        server.post(rpc("ping"), X_Forwarded_For="203.0.113.9", traceparent=f"00-{7:032x}-{7:016x}-01", **headers)
        assert server.last("http.request", trace_id=f"{7:032x}")["client"] == client


NAMES = st.sampled_from(["localhost", "a.example", "[::1]", "127.0.0.1", "https://a.example", ""])
PORTS = st.sampled_from(["", ":1", ":65535", ":*", ":", ":x", ":1x", ":²", ":-1", ":123456", ":1:2", ":٣"])


@given(value=st.tuples(NAMES, PORTS).map("".join), allowed=st.lists(st.tuples(NAMES, PORTS).map("".join), max_size=3))
@example(value="LOCALHOST:1", allowed=["localhost:*"])
@example(value="localhost:*", allowed=["localhost:*"])
def test_a_name_passes_when_it_is_listed_with_its_port_or_with_any(value: str, allowed: list[str]) -> None:
    """Against regular expressions made from the list."""
    patterns = [
        re.escape(entry[:-2].lower()) + r"(:[0-9]{1,5}|:\*)" if entry.endswith(":*") else re.escape(entry.lower())
        for entry in allowed
    ]
    expected = any(re.fullmatch(pattern, value.lower()) for pattern in patterns)
    assert matches(value, allowed) == expected


@given(st.ip_addresses())
@example(ipaddress.ip_address("127.9.9.9"))
def test_an_address_is_loopback_when_its_network_is(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Documented: RFC 1122, 3.2.1.3; RFC 4291, 2.5.3."""
    assume(getattr(address, "ipv4_mapped", None) is None)  # Python's versions differ
    expected = address in ipaddress.ip_network("127.0.0.0/8" if address.version == 4 else "::1/128")
    assert is_loopback(str(address)) == expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1.evil.example", "127.evil.example", "0.0.0.0", "::", "localhost.example", ""]
)
def test_a_name_that_looks_like_loopback_is_not(host: str) -> None:
    """It can stand for any address."""
    assert not is_loopback(host)


def test_without_a_policy_only_this_machine_passes() -> None:
    """Fail closed."""
    policy = GuardPolicy()
    assert policy.hosts is not None
    assert not matches("evil.example", policy.hosts)
    assert not matches("https://evil.example", policy.origins)
