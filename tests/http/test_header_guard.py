"""What is refused for its Host or Origin, and which web pages may call. `test_malformed_requests` has odd headers."""

import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contit_mcp.http.guard import matches
from contit_mcp.http.serve import is_loopback
from tests.children import INITIALIZE, TOKEN_MODE, TOKENS, Contit, Served, rpc

PAGE = "https://app.example"
TOKEN = {"Authorization": f"Bearer {TOKENS['anna']}"}
SETTINGS = {"CONTIT_MCP_REQUESTS_PER_MINUTE": "200"}


@pytest.fixture(scope="module")
def deployed(upstream: Contit) -> Iterator[Served]:
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE}
    pages = {"CONTIT_MCP_ALLOWED_ORIGINS": "https://App.example, http://localhost:*"}
    with Served(environment | pages | {"CONTIT_MCP_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        yield server


CROSS_SITE = [  # an image or a form; a page on another port; a link
    {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    for site, mode in (("cross-site", "no-cors"), ("same-site", "no-cors"), ("cross-site", "navigate"))
]


def test_a_web_page_cannot_use_up_a_local_user_s_requests(server: Served) -> None:
    """Browsers leave out Origin in requests whose answers the page may not read. They are refused and not counted."""
    for number in range(250):
        method, headers = ("GET", "POST", "HEAD")[number % 3], CROSS_SITE[number % 7 % 3]
        answer = server.http.request(method, server.url, headers=headers | {"Content-Type": "text/plain"})
        assert answer.status_code == 403
    assert server.post(rpc("ping")).status_code == 200


OWN_PAGES: list[dict[str, str]] = [
    *({"Origin": "http://localhost:5173", "Sec-Fetch-Site": site} for site in ("same-site", "cross-site", "none")),
    *({"Sec-Fetch-Site": site} for site in ("same-origin", "none")),
    *({"Host": host} for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8123")),
    *({"Host": "[::1]:1", "Origin": origin} for origin in ("https://127.0.0.1", "http://[::1]:9")),
]


@pytest.mark.parametrize("headers", OWN_PAGES)
def test_this_machine_and_its_pages_may_call_under_each_of_its_names(server: Served, headers: dict[str, str]) -> None:
    assert server.post(INITIALIZE, **headers).status_code == 200


def test_where_no_host_is_listed_any_one_passes_with_authentication(deployed: Served) -> None:
    assert deployed.post(INITIALIZE, Host="any.example", **TOKEN).status_code == 200
    for lines in (b"", b"Host: a\r\nHost: a\r\n"):  # RFC 9112, 3.2
        head = b"POST /mcp HTTP/1.1\r\n" + lines + f"Authorization: {TOKEN['Authorization']}\r\n\r\n".encode()
        assert deployed.raw(head)[0] == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example", "https://app.example:8443"])
def test_a_foreign_page_gets_neither_a_preflight_nor_a_call(deployed: Served, origin: str) -> None:
    """Also with a good token, which its visitor may have."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    trace_id = f"{random.getrandbits(128):032x}"
    preflight = deployed.http.options(deployed.url, headers=asks | {"traceparent": f"00-{trace_id}-{7:016x}-01"})
    for refused in (preflight, deployed.post(INITIALIZE, Origin=origin, **TOKEN)):
        assert (refused.status_code, refused.json()["error"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in refused.headers
    assert deployed.last("http.request", trace_id=trace_id)["refused"] == "foreign_origin"


def test_a_listed_page_gets_nothing_under_a_foreign_name(server: Served) -> None:
    """A name that was pointed at this machine (DNS rebinding) gets neither a preflight nor a readable refusal."""
    asks = {"Host": "evil.example", "Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "POST"):
        refused = server.http.request(method, server.url, headers=asks)
        assert (refused.status_code, refused.json()["error"]) == (421, "wrong_host")
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:5173"])
def test_a_listed_page_may_ask_and_call(deployed: Served, origin: str) -> None:
    """The preflight comes without a token (documented: Fetch, "CORS-preflight fetch"); a list may use capitals."""
    wanted = {"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "x-api-key"}
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = ",".join(wanted)
    preflight = deployed.http.options(deployed.url, headers=asks)
    allowed = {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}
    assert allowed >= wanted
    call = deployed.post(INITIALIZE, Origin=origin, **TOKEN)
    unknown = deployed.post(INITIALIZE, Origin=origin)
    assert [answer.status_code for answer in (preflight, call, unknown)] == [200, 200, 401]
    for answer in (preflight, call, unknown):  # a page must be able to read why it is refused
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
    assert "WWW-Authenticate" in unknown.headers["access-control-expose-headers"]


def test_only_a_trusted_proxy_says_who_calls(server: Served, deployed: Served) -> None:
    """Anybody can send X-Forwarded-For."""
    for each, headers, client in ((server, {}, "127.0.0.1"), (deployed, TOKEN, "203.0.113.9")):
        each.post(rpc("ping"), X_Forwarded_For="203.0.113.9", traceparent=f"00-{7:032x}-{7:016x}-01", **headers)
        assert each.last("http.request", trace_id=f"{7:032x}")["client"] == client


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


LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"]
OTHERS = ["127.0.0.1.evil.example", "127.evil.example", "0.0.0.0", "::", "", "128.0.0.1", "10.1.2.3", "::2", "fe80::1"]


@pytest.mark.parametrize("host", [*LOOPBACK, *OTHERS])
def test_an_address_is_loopback_when_its_network_is(host: str) -> None:
    """Any name but one can mean any address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3)."""
    assert is_loopback(host) == (host in LOOPBACK)
