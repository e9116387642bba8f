"""https, served for real with a certificate of the test's own, and the SDK's client over it."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.children import INITIALIZE, TOKEN_MODE, TOKENS, Contit, Served
from tests.cli.command_line import run
from tests.contit.test_tls_and_proxies import make_authority
from tests.http.issuer import bearer
from tests.server.stage import ERAS, call

TOKEN = TOKENS["anna"]


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A file with a certificate and its key, and what trusts it alone."""
    file = make_authority(tmp_path_factory.mktemp("tls")).file
    return file.with_name("server.pem"), ssl.create_default_context(cafile=file)


@pytest.fixture(scope="module")
def server(upstream: Contit, trust: tuple[Path, ssl.SSLContext]) -> Iterator[Served]:
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE}
    environment |= {"CONTIT_MCP_TLS_CERT_FILE": str(trust[0]), "CONTIT_MCP_TLS_KEY_FILE": str(trust[0])}
    with Served(environment, verify=trust[1]) as server:
        yield server


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_each_era_asks_over_https(
    server: Served, trust: tuple[Path, ssl.SSLContext], era: str
) -> None:
    """Documented: MCP 2025-11-25 and 2026-07-28, Streamable HTTP."""
    async with (
        httpx2.AsyncClient(verify=trust[1], headers=bearer(TOKEN), timeout=20) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=era) as client,
    ):
        assert len((await client.list_tools()).tools) == 4
        found, texts, failed = await call(client, "contit_ask", {"prompt": "How many articles are there?"})
        assert (failed, found["status"]) == (False, "completed")
        assert "72 articles" in texts[0]


@pytest.mark.anyio
async def test_a_healthcheck_beside_it_asks_with_tls(server: Served) -> None:
    """The certificate is for the outside, and is not looked at."""
    tls = {name: text for name, text in server.environment.items() if "TLS" in name}
    alive = await run("healthcheck", "--port", str(server.port), **tls)
    assert (alive.returncode, alive.stdout) == (0, f"https://127.0.0.1:{server.port}/healthz answers.\n")


def test_https_is_what_is_spoken_and_logged(server: Served) -> None:
    """And nothing else at that port."""
    assert server.url.startswith("https://127.0.0.1:")
    assert server.post(INITIALIZE, **bearer(TOKEN)).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(server.base.replace("https", "http") + "/healthz")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.base}/healthz")
    server.assert_unharmed()
