"""Which Hosts and which web pages (Origins) may call. `test_malformed_requests` has odd headers."""

import random
from collections.abc import Iterator
from itertools import product

import pytest

from tests.children import INITIALIZE, TOKEN_MODE, TOKENS, Contit, Served, rpc

TOKEN = {"Authorization": f"Bearer {TOKENS['anna']}"}
SETTINGS = {"CONTIT_MCP_REQUESTS_PER_MINUTE": "200"}


@pytest.fixture(scope="module")
def deployed(upstream: Contit) -> Iterator[Served]:
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE}
    pages = {"CONTIT_MCP_ALLOWED_ORIGINS": "https://App.example, http://localhost:*"}
    with Served(environment | pages | {"CONTIT_MCP_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        yield server


def test_a_web_page_cannot_use_up_a_local_user_s_requests(server: Served) -> None:
    """Browsers send no Origin in requests whose answers the page may not read. They are refused and not counted."""
    kinds = [("cross-site", "no-cors"), ("same-site", "no-cors"), ("cross-site", "navigate")]  # image, other port, link
    for (site, mode), method in list(product(kinds, ("GET", "POST", "HEAD"))) * 28:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Content-Type": "text/plain"}
        assert server.http.request(method, server.url, headers=headers).status_code == 403
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


def test_with_authentication_and_no_list_any_single_host_header_passes(deployed: Served) -> None:
    assert deployed.post(INITIALIZE, Host="any.example", **TOKEN).status_code == 200
    for lines in (b"", b"Host: a\r\nHost: a\r\n"):  # RFC 9112, 3.2
        head = b"POST /mcp HTTP/1.1\r\n" + lines + f"Authorization: {TOKEN['Authorization']}\r\n\r\n".encode()
        assert deployed.raw(head)[0] == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example", "https://app.example:8443"])
def test_a_foreign_page_gets_neither_a_preflight_nor_a_call(deployed: Served, origin: str) -> None:
    """Also with a good token."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    trace_id = f"{random.getrandbits(128):032x}"
    preflight = deployed.http.options(deployed.url, headers=asks | {"traceparent": f"00-{trace_id}-{7:016x}-01"})
    for refused in (preflight, deployed.post(INITIALIZE, Origin=origin, **TOKEN)):
        assert (refused.status_code, refused.json()["error"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in refused.headers
    assert deployed.last("http.request", trace_id=trace_id)["refused"] == "foreign_origin"


def test_a_local_page_gets_nothing_under_a_foreign_host(server: Served) -> None:
    """With DNS rebinding, a foreign name leads to this machine. The page cannot even read the refusal."""
    asks = {"Host": "evil.example", "Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "POST"):
        refused = server.http.request(method, server.url, headers=asks)
        assert (refused.status_code, refused.json()["error"]) == (421, "wrong_host")
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:5173"])
def test_a_listed_page_may_ask_and_call(deployed: Served, origin: str) -> None:
    """The preflight has no token (documented: Fetch, "CORS-preflight fetch"). Capitals in the list do not matter."""
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


def test_x_forwarded_for_is_believed_only_of_a_trusted_proxy(server: Served, deployed: Served) -> None:
    for each, headers, client in ((server, {}, "127.0.0.1"), (deployed, TOKEN, "203.0.113.9")):
        each.post(rpc("ping"), X_Forwarded_For="203.0.113.9", traceparent=f"00-{7:032x}-{7:016x}-01", **headers)
        assert each.last("http.request", trace_id=f"{7:032x}")["client"] == client
