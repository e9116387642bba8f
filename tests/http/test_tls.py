"""HTTPS with a certificate of the test's own."""

import ssl
from pathlib import Path

import httpx
import pytest

from tests.children import TOKEN_MODE, TOKENS, Contit, Served, caller
from tests.cli.command_line import run
from tests.contit.test_tls_and_proxies import make_authority
from tests.http.issuer import bearer


@pytest.mark.anyio
async def test_https_alone_is_served_and_a_healthcheck_asks_with_it(upstream: Contit, tmp_path: Path) -> None:
    """The healthcheck does not verify the certificate, which need not name the address that it asks."""
    file = str(make_authority(tmp_path).file)
    tls = {"CONTIT_MCP_TLS_CERT_FILE": file, "CONTIT_MCP_TLS_KEY_FILE": file}
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE, **tls}
    with Served(environment, verify=ssl.create_default_context(cafile=file)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        result = server.call("contit_ask", {"prompt": "How many articles are there?"}, **bearer(TOKENS["anna"]))
        assert "72 articles" in result["structuredContent"]["response"]
        async with caller() as http:
            with pytest.raises(httpx.TransportError):
                await http.get(server.base.replace("https", "http") + "/healthz")
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.get(f"{server.base}/healthz")
        alive = await run("healthcheck", "--port", str(server.port), **tls)
        assert (alive.returncode, alive.stdout) == (0, f"https://127.0.0.1:{server.port}/healthz answers.\n")
        server.assert_unharmed()
