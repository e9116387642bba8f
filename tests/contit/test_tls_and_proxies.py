"""How Contit is reached: certificates, the proxies of the environment, and which of them are ignored. Real sockets."""

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import NamedTuple

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contit_mcp import errors
from contit_mcp.config.proxies import environment_proxies
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import build_http_client
from tests.children import free_port
from tests.contit.raw_server import Connection, answers, anyio_backend, no_proxies, raw_server  # noqa: F401 - two are fixtures

QUICK = RetryPolicy(attempts=2, shortest=0.001, longest=0.001)
KEY = APIKeyAuth(SecretValue("CONTIT_API_KEY", value="key-of-the-client"))
ANSWER = answers(b'{"status": "in_progress"}')
PROXY = {"https": "http://proxy.example:3128"}
MOUNTS: dict[str, str | None] = {"https://": "http://proxy.example:3128"}


async def ask(address: str, *, ca_file: Path | None = None) -> None:
    with anyio.fail_after(10):
        async with build_http_client(address, ca_file=ca_file) as http:
            await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")


class Authority(NamedTuple):
    """A certificate authority that no system trusts, and the TLS context of a server with its certificate."""

    file: Path
    server: ssl.SSLContext


def make_authority(folder: Path, *, host: str = "127.0.0.1") -> Authority:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")])
    key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, file = serialization.Encoding.PEM, folder / "server.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(signed.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return Authority(file, context)


@pytest.mark.anyio
@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", True), ("127.0.0.2", False)])
async def test_a_certificate_is_trusted_if_its_authority_is_configured_and_it_is_for_the_host(
    host: str, trusted: bool, tmp_path: Path
) -> None:
    file, context = make_authority(tmp_path, host=host)
    async with raw_server(ANSWER, tls=context) as server:
        for ca_file in (None, None if trusted else file):
            with pytest.raises(errors.APIConnectionError, match="certificate") as caught:
                await ask(f"https://127.0.0.1:{server.port}", ca_file=ca_file)
            assert "CONTIT_CA_FILE" in caught.value.hint
            assert not caught.value.may_have_arrived
        assert server.requests == []
        if trusted:
            await ask(f"https://127.0.0.1:{server.port}", ca_file=file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("", "it holds no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it holds no PEM certificate"),
    ],
)
def test_a_bad_ca_file_is_named_with_its_reason(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.ConfigurationError) as caught:
        build_http_client("https://contit.test", ca_file=file)
    assert caught.value.message == f"The CA file {file} cannot be used: {reason}."
    assert "CONTIT_CA_FILE" in caught.value.hint


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_http_uses_the_proxy_unless_no_proxy_names_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "::1/128,[,excepted.invalid")
    async with raw_server(ANSWER) as proxy:
        monkeypatch.setenv(name, proxy.url)
        await ask("http://contit.test")
        with pytest.raises(errors.APIConnectionError):
            await ask("http://excepted.invalid")
    (request,) = proxy.requests
    assert request.startswith(b"GET http://contit.test/ai-assistant/thread/t/run/r/status HTTP/1.1\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", "Contit could not be reached."),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n<h1>blocked by policy</h1>", "The proxy refused to connect to Contit."),
    ],
)
async def test_https_is_tunnelled_and_the_proxy_sees_no_credential(
    answer: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tunnel(connection: Connection) -> None:
        await connection.request()
        await connection.stream.send(answer)
        connection.server.requests.append(await connection.stream.receive())

    async with raw_server(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        with pytest.raises(errors.APIConnectionError) as caught:
            await ask("https://contit.test")
    assert caught.value.message == message
    assert not caught.value.may_have_arrived
    assert proxy.requests[0].startswith(b"CONNECT contit.test:443 HTTP/1.1\r\n")
    assert b"key-of-the-client" not in b"".join(proxy.requests)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    "proxy",
    ["", "socks5://user:hunter2@127.0.0.1:1080", "ftp://proxy.test", "http://proxy.test:x", "http://xn--0:3128"],
)
async def test_this_machine_is_asked_without_a_proxy(host: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be used stops nothing; contit-mcp names it at its start (tests/cli/test_environments.py)."""
    proxy = proxy or f"http://127.0.0.1:{free_port()}"
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy)
    async with raw_server(ANSWER) as contit:
        await ask(f"http://{host}:{contit.port}")
    assert contit.requests[0].startswith(b"GET /ai-assistant/")


@pytest.mark.parametrize(
    ("entry", "pattern"),  # the pattern of httpx's `mounts`; None for an entry that cannot be used
    [
        ("example.com", "all://*example.com"),
        ("*.example.com", "all://*example.com"),
        ("127.0.0.1", "all://*127.0.0.1"),
        ("::1", "all://[::1]"),
        ("my_host:443", "all://*my_host:443"),
        *((no_host, None) for no_host in ("10.0.0.0/8", "fd00::/8", "::1/128", "fe80::1%en0", "<local>", "a b", "[")),
        *((no_host, None) for no_host in ("http://", "é.example", "a..b", "-", "x:y:z", "host:", "*:80")),
    ],
)
def test_an_entry_of_no_proxy_is_used_or_is_ignored_and_reported(entry: str, pattern: str | None) -> None:
    expected = MOUNTS | {"all://*good.example": None} | ({pattern: None} if pattern else {})
    mounts, ignored = environment_proxies(PROXY | {"no": f" {entry} ,good.example,"})
    assert mounts == expected
    assert ["NO_PROXY" in one for one in ignored] == ([] if pattern else [True])
    httpx.AsyncClient(mounts=dict.fromkeys(mounts), trust_env=False)


def test_without_a_proxy_no_entry_of_no_proxy_is_reported() -> None:
    """OrbStack sets unusable entries on every machine."""
    assert environment_proxies({"no": "localhost,::1/128,["}) == ({}, [])
    assert environment_proxies({**PROXY, "no": "*"}) == ({}, [])
    assert environment_proxies({"all": "proxy.example:1"}) == ({"all://": "http://proxy.example:1"}, [])
