"""With settings that would serve strangers or cannot work, the server does not start and says what to set."""

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from contit_mcp.cli.main import main
from tests.children import SEAL_KEY, clean_environment

KEY = {"CONTIT_API_KEY": "sandbox-key", "CONTIT_MCP_STORE": "memory", "CONTIT_MCP_PORT": "0"}
SEAL = {"CONTIT_MCP_SEAL_KEY": SEAL_KEY}
TOKENS = {"CONTIT_MCP_AUTH": "token", "CONTIT_MCP_TOKENS": "ada:" + "a" * 24}
TOKEN = KEY | SEAL | TOKENS
ISSUER = {"CONTIT_MCP_AUTH": "jwt", "CONTIT_MCP_JWT_ISSUER": "https://issuer.example"}
JWT = KEY | SEAL | ISSUER | {"CONTIT_MCP_PUBLIC_URL": "https://x.example/mcp"}
HERE = Path(__file__).parent

# By what is wrong: the settings, and the variable that the error names, without CONTIT_MCP_.
STARTS: dict[str, tuple[dict[str, str], str]] = {
    **{f"no authentication at {host}": (KEY | {"CONTIT_MCP_HOST": host}, "AUTH")
       for host in ("0.0.0.0", "::", "::2", "192.0.2.1", "127.evil.example", "127.0.0.1.evil.example")},
    "tokens that nothing asks for": (KEY | {"CONTIT_MCP_TOKENS": "ada:" + "t" * 20}, "AUTH"),
    "token without tokens": (TOKEN | {"CONTIT_MCP_TOKENS": ""}, "TOKENS"),
    "token with a short one": (TOKEN | {"CONTIT_MCP_TOKENS": "ada:short"}, "TOKENS"),
    "a missing tokens file": (TOKEN | {"CONTIT_MCP_TOKENS": "", "CONTIT_MCP_TOKENS_FILE": "/nowhere"}, "TOKENS_FILE"),
    "token without a seal key": (KEY | TOKENS, "SEAL_KEY"),
    "jwt without a seal key": (JWT | {"CONTIT_MCP_SEAL_KEY": ""}, "SEAL_KEY"),
    "jwt without an issuer": (JWT | {"CONTIT_MCP_JWT_ISSUER": ""}, "JWT_ISSUER"),
    "jwt without its own URL": (JWT | {"CONTIT_MCP_PUBLIC_URL": ""}, "PUBLIC_URL"),
    "jwt of an issuer without TLS": (JWT | {"CONTIT_MCP_JWT_ISSUER": "http://issuer.example"}, "JWT_ISSUER"),
    "Redis without a seal key": (KEY | {"CONTIT_MCP_STORE": "redis://localhost:1/0"}, "SEAL_KEY"),
    "a short seal key": (TOKEN | {"CONTIT_MCP_SEAL_KEY": "short-seal-key"}, "SEAL_KEY"),
    "a short second seal key": (TOKEN | {"CONTIT_MCP_SEAL_KEY": "s" * 32 + ",short-seal-key"}, "SEAL_KEY"),
    "half of TLS": (KEY | {"CONTIT_MCP_TLS_CERT_FILE": "/nowhere/cert.pem"}, "TLS_KEY_FILE"),
    "the other half": (KEY | {"CONTIT_MCP_TLS_KEY_FILE": "/nowhere/key.pem"}, "TLS_CERT_FILE"),
    **{f"TLS files such as {path.name}": (
        KEY | {"CONTIT_MCP_TLS_CERT_FILE": str(path), "CONTIT_MCP_TLS_KEY_FILE": str(path)}, "TLS_KEY_FILE")
       for path in (HERE / "nothing.pem", HERE / "conftest.py")},
    "a missing CA file": (KEY | {"CONTIT_CA_FILE": "/nowhere/ca.pem"}, "CONTIT_CA_FILE"),
    "no credential": ({"CONTIT_MCP_PORT": "0"}, "CONTIT_API_KEY"),
    "a missing key file": ({"CONTIT_MCP_PORT": "0", "CONTIT_API_KEY_FILE": "/nowhere/key"}, "CONTIT_API_KEY_FILE"),
    "no credential, with tokens": (SEAL | TOKENS, "CONTIT_API_KEY"),
    "an unknown mode": (KEY | {"CONTIT_MCP_AUTH": "basic"}, "AUTH"),
    "an address of another machine": (TOKEN | {"CONTIT_MCP_HOST": "192.0.2.1"}, "HOST"),
    "a name without an address": (TOKEN | {"CONTIT_MCP_HOST": "nowhere.invalid"}, "HOST"),
    **{f"a proxy at {text}": (KEY | {"CONTIT_MCP_TRUSTED_PROXIES": text}, "TRUSTED_PROXIES")
       for text in ("10.0.0.0/99", "10.0.0.1/8", "proxy.example", "*")},
    **{f"pages of {text}": (KEY | {"CONTIT_MCP_ALLOWED_ORIGINS": text}, "ALLOWED_ORIGINS")
       for text in ("*", "app.example", "https://app.example/", "https://app.example/page", "https://*.example")},
}  # fmt: skip


def start(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `contit-mcp http` says when it does not start: one line of error, one of hint, nothing else."""
    monkeypatch.setattr("os.environ", clean_environment(**environment))
    monkeypatch.setattr("sys.argv", ["contit-mcp", "http"])
    with pytest.raises(SystemExit) as ended:
        main()
    stdout, said = capsys.readouterr()
    assert (ended.value.code, stdout) == (1, "")
    assert re.fullmatch(r"error: [^\n]+\nhint: [^\n]+\n", said), said
    return said


@pytest.mark.parametrize("case", STARTS)
def test_a_server_that_is_unsafe_or_cannot_work_does_not_start(case: str, monkeypatch: Any, capsys: Any) -> None:
    """The lines name what to set, and quote no secret."""
    environment, name = STARTS[case]
    said = start(environment, monkeypatch, capsys)
    assert (name if name.startswith("CONTIT_") else f"CONTIT_MCP_{name}") in said
    assert "short-seal-key" not in said
    assert "a" * 24 not in said


def test_a_taken_port_is_named(monkeypatch: Any, capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = start(KEY | {"CONTIT_MCP_PORT": str(taken.getsockname()[1])}, monkeypatch, capsys)
        assert "CONTIT_MCP_PORT" in said
