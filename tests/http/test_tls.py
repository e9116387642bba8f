"""https, served for real with a certificate of the test's own, and the SDK's client over it."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.children import INITIALIZE, TOKEN_MODE, TOKENS, Contit, Served
from tests.http.issuer import bearer
from tests.server.stage import ERAS, call

TOKEN = TOKENS["anna"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for loopback that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def trust(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What trusts that certificate alone."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture(scope="module")
def server(upstream: Contit, certificate: tuple[Path, Path], trust: ssl.SSLContext) -> Iterator[Served]:
    """A server with tokens that speaks https."""
    files = {"CONTIT_MCP_TLS_CERT_FILE": str(certificate[0]), "CONTIT_MCP_TLS_KEY_FILE": str(certificate[1])}
    environment = {"CONTIT_BASE_URL": upstream.url, "CONTIT_API_KEY": "sandbox-key", **TOKEN_MODE}
    with Served(environment | files, verify=trust) as server:
        yield server


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_each_era_asks_over_https(server: Served, trust: ssl.SSLContext, era: str) -> None:
    """Documented: MCP 2025-11-25 and 2026-07-28, Streamable HTTP."""
    async with (
        httpx2.AsyncClient(verify=trust, headers=bearer(TOKEN), timeout=20) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=era) as client,
    ):
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "contit_ask", "contit_start", "contit_status", "contit_response"
        ]  # fmt: skip
        found, texts, failed = await call(client, "contit_ask", {"prompt": "How many articles are there?"})
        assert not failed
        assert found["status"] == "completed"
        assert "72 articles" in texts[0]
        again, _, failed = await call(
            client, "contit_response", {"thread_id": found["thread_id"], "run_id": found["run_id"]}
        )
        assert not failed
        assert again["response"] == found["response"]


def test_https_is_what_is_spoken_and_logged(server: Served) -> None:
    """And nothing else at that port, nor old versions of TLS (documented: RFC 8996)."""
    assert server.url.startswith("https://127.0.0.1:")
    assert server.post(INITIALIZE, **bearer(TOKEN)).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(server.base.replace("https", "http") + "/healthz")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.base}/healthz")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", server.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)
    server.assert_unharmed()
