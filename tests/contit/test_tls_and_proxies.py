"""How Contit is reached: certificates, proxies, and never by a redirect. Real sockets."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contit_mcp import errors
from contit_mcp.config.values import SecretValue
from contit_mcp.contit.auth import APIKeyAuth
from contit_mcp.contit.client import ContitClient
from contit_mcp.contit.retries import RetryPolicy
from contit_mcp.contit.transport import TransportPolicy, build_http_client
from tests.contit.raw_server import Connection, anyio_backend, no_proxies, raw_server, unused_port  # noqa: F401 - fixtures

QUICK = RetryPolicy(attempts=2, shortest=0.001, longest=0.001)
PATIENT = 10.0
KEY = APIKeyAuth(SecretValue("CONTIT_API_KEY", value="key-of-the-client"))


async def answer(connection: Connection) -> None:
    """Answer every request with a status."""
    while True:
        await connection.request()
        await connection.answer(b'{"status": "in_progress"}')


# --- Certificates ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a server context that it vouches for."""

    file: Path
    server: ssl.SSLContext


def make_authority(folder: Path, *, host: str = "127.0.0.1") -> Authority:
    """Make an authority that nobody trusts, and let it sign a certificate for `host`."""
    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        build("Test CA", "Test CA", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        build("Contit", "Test CA", server_key)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    ca_file, certificate = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return Authority(ca_file, context)


@pytest.mark.anyio
async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(answer, tls=authority.server) as server,
            build_http_client(f"https://127.0.0.1:{server.port}") as http,
        ):
            with pytest.raises(errors.APIConnectionError) as caught:
                await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert "certificate" in caught.value.message
    assert "CONTIT_CA_FILE" in caught.value.hint
    assert not caught.value.may_have_arrived
    assert server.requests == []


@pytest.mark.anyio
async def test_a_certificate_of_the_configured_authority_is_trusted(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(answer, tls=authority.server) as server,
            build_http_client(f"https://127.0.0.1:{server.port}", ca_file=authority.file) as http,
        ):
            assert (await ContitClient(http).run_status("t", "r")).word == "in_progress"


@pytest.mark.anyio
async def test_a_certificate_for_another_host_is_refused_even_from_a_trusted_authority(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, host="127.0.0.2")
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(answer, tls=authority.server) as server,
            build_http_client(f"https://127.0.0.1:{server.port}", ca_file=authority.file) as http,
        ):
            with pytest.raises(errors.APIConnectionError, match="certificate"):
                await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert server.requests == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it holds no PEM certificate"),
        (b"not a certificate", "it holds no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it holds no PEM certificate"),
    ],
)
def test_a_bad_ca_file_is_named_with_its_reason(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.ConfigurationError) as caught:
        build_http_client("https://contit.test", ca_file=file)
    assert caught.value.message == f"The CA file {file} cannot be used: {reason}."
    assert "CONTIT_CA_FILE" in caught.value.hint


# --- Proxies -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_http_goes_through_the_proxy_of_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as proxy:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
            async with build_http_client("http://contit.test") as http:
                await ContitClient(http).run_status("t", "r")
    assert proxy.requests[0].startswith(b"GET http://contit.test/ai-assistant/thread/t/run/r/status HTTP/1.1\r\n")


@pytest.mark.anyio
async def test_https_is_tunnelled_and_the_proxy_sees_no_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path)

    async def tunnel(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.server.requests.append(await connection.stream.receive())

    with anyio.fail_after(PATIENT):
        async with raw_server(tunnel) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
            async with build_http_client("https://contit.test", ca_file=authority.file) as http:
                with pytest.raises(errors.APIConnectionError):
                    await ContitClient(http, auth=KEY, retry=RetryPolicy(attempts=1)).run_status("t", "r")
    assert proxy.requests[0].startswith(b"CONNECT contit.test:443 HTTP/1.1\r\n")
    assert b"key-of-the-client" not in b"".join(proxy.requests)


@pytest.mark.anyio
async def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"<h1>blocked by policy</h1>", status="403 Forbidden")

    with anyio.fail_after(PATIENT):
        async with raw_server(refuse) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with build_http_client("https://contit.test") as http:
                with pytest.raises(errors.APIConnectionError) as caught:
                    await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert caught.value.message == "The proxy refused to connect to Contit."
    assert not caught.value.may_have_arrived


@pytest.mark.anyio
async def test_no_proxy_is_asked_for_hosts_that_are_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", "contit.invalid")
            async with build_http_client("http://contit.invalid") as http:
                with pytest.raises(errors.APIConnectionError):
                    await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert proxy.connections == 0


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_never_asked_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as contit:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{await unused_port()}")
            async with build_http_client(f"http://{host}:{contit.port}") as http:
                await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert contit.requests[0].startswith(b"GET /ai-assistant/")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "proxy",
    ["socks5://user:hunter2@127.0.0.1:1080", "ftp://user:hunter2@proxy.test", "http://user:hunter2@proxy.test:port"],
)
async def test_a_proxy_that_cannot_be_used_stops_nothing(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be meant for other programs; contit-mcp names it at its start (tests/cli/test_environments.py)."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as contit, build_http_client(f"http://127.0.0.1:{contit.port}") as http:
            await ContitClient(http, auth=KEY, retry=QUICK).run_status("t", "r")
    assert contit.requests[0].startswith(b"GET /ai-assistant/")


# --- The client itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["https://user:hunter2@[::1", "https://contit.test:port", "https://\n"])
def test_an_address_that_is_no_url_is_a_configuration_error(address: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        build_http_client(address)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__context__ is None


@pytest.mark.anyio
async def test_a_request_waits_for_a_free_connection_only_so_long() -> None:
    async def hang(connection: Connection) -> None:
        await connection.request()
        await anyio.sleep(PATIENT)

    policy = TransportPolicy(read=5.0, pool=0.05, connections=1)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(hang) as server,
            build_http_client(f"http://127.0.0.1:{server.port}", policy=policy) as http,
            anyio.create_task_group() as tasks,
        ):
            client = ContitClient(http, retry=RetryPolicy(attempts=1))
            tasks.start_soon(client.run_status, "t", "first")
            while not server.requests:
                await anyio.sleep(0.01)
            with pytest.raises(errors.APITimeoutError) as caught:
                await client.run_status("t", "second")
            tasks.cancel_scope.cancel()
    assert not caught.value.may_have_arrived
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_an_idle_connection_is_not_used_after_keep_alive() -> None:
    """A load balancer may be closing it at that moment."""
    policy = TransportPolicy(keep_alive=0.05)
    with anyio.fail_after(PATIENT):
        async with (
            raw_server(answer) as server,
            build_http_client(f"http://127.0.0.1:{server.port}", policy=policy) as http,
        ):
            client = ContitClient(http)
            await client.run_status("t", "r")
            await anyio.sleep(0.1)
            await client.run_status("t", "r")
    assert server.connections == 2


NO_PROXY_OF_OTHERS = [
    "localhost,::1/128",
    "[::1]",
    "fe80::/10,127.0.0.0/8",
    "http://[",
    "::ffff:0:0/96",
    "2001:db8::/32,.corp.example",
    "a:b:c",
    "host:port",
    "*.example.com:443,::/0",
    "\u2603.example, ::1/128",
]


@pytest.mark.anyio
@pytest.mark.parametrize("value", NO_PROXY_OF_OTHERS)
async def test_no_proxy_as_other_programs_understand_it_leaves_the_proxy_in_use(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that name no host are ignored; the others count."""
    monkeypatch.setenv("NO_PROXY", f"{value},excepted.invalid")
    with anyio.fail_after(PATIENT):
        async with raw_server(answer) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with build_http_client("http://contit.test") as http:
                await ContitClient(http).run_status("t", "r")
            assert len(proxy.requests) == 1
            async with build_http_client("http://excepted.invalid") as http:
                with pytest.raises(errors.APIConnectionError):
                    await ContitClient(http, retry=QUICK).run_status("t", "r")
    assert len(proxy.requests) == 1
